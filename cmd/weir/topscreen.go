package main

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// The screen of weir top. All that depends on bubbletea is in this file; what is drawn is
// made by topView.

const (
	// topEvery is the time between two frames.
	topEvery = 500 * time.Millisecond
	// topRows is how many rows of a tap are kept.
	topRows = 500
)

// topScreen is the model of the screen.
type topScreen struct {
	ctx     context.Context
	watch   *topWatch
	job     string // "": the list of jobs
	only    bool   // the job was named: going back ends
	view    topView
	busy    bool // a frame is being asked for
	stopTap context.CancelFunc
	taps    int // counts taps, so that rows of an old one are not shown
	rows    chan tappedRow
}

type tappedRow struct {
	tap int
	row string
}

// What the screen is told.
type (
	tickMsg  time.Time
	frameMsg struct {
		job   string
		frame topFrame
		err   error
	}
	pageMsg struct {
		title string
		lines []string
		err   error
	}
	rowMsg    tappedRow
	tapEndMsg struct {
		tap int
		err error
	}
)

// runTop draws until somebody ends it. Keys are read from standard input itself, which has to be
// a terminal: con.in is a reader of it.
func runTop(ctx context.Context, con *console, w *topWatch, job string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newTopScreen(ctx, w, job, con.width)
	if con.outColor {
		m.view.paint = topStyles()
	}
	_, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(con.out), tea.WithoutSignalHandler()).Run()
	if errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, tea.ErrInterrupted) {
		err = nil // Ctrl-C and a signal end it
	}
	return err
}

func newTopScreen(ctx context.Context, w *topWatch, job string, width int) *topScreen {
	return &topScreen{ctx: ctx, watch: w, job: job, only: job != "", rows: make(chan tappedRow, 64), view: topView{width: width, height: 24}}
}

// topStyles paints with the colours that every terminal has.
func topStyles() func(style, s string) string {
	styles := map[string]lipgloss.Style{
		styleTitle:  lipgloss.NewStyle().Bold(true),
		styleHead:   lipgloss.NewStyle().Faint(true),
		styleChosen: lipgloss.NewStyle().Reverse(true),
		styleBad:    lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red),
		styleDim:    lipgloss.NewStyle().Faint(true),
	}
	return func(style, s string) string { return styles[style].Render(s) }
}

// Init asks for the first frame.
func (m *topScreen) Init() tea.Cmd { return tea.Batch(m.ask(), m.tick(), m.nextRow()) }

func (m *topScreen) tick() tea.Cmd {
	return tea.Tick(topEvery, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// ask asks for a frame, one at a time.
func (m *topScreen) ask() tea.Cmd {
	if m.busy {
		return nil
	}
	m.busy = true
	job := m.job
	return func() tea.Msg {
		f, err := m.watch.frame(m.ctx, job)
		return frameMsg{job, f, err}
	}
}

// nextRow waits for a row of a tap.
func (m *topScreen) nextRow() tea.Cmd {
	return func() tea.Msg {
		select {
		case r := <-m.rows:
			return rowMsg(r)
		case <-m.ctx.Done():
			return nil
		}
	}
}

// Update takes what has happened.
func (m *topScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.view.width, m.view.height = msg.Width, msg.Height
	case tickMsg:
		return m, tea.Batch(m.ask(), m.tick())
	case frameMsg:
		m.busy = false
		m.take(msg)
	case pageMsg:
		if msg.err != nil {
			msg.lines = strings.Split(msg.err.Error(), "\n")
		}
		m.view.page, m.view.title, m.view.text, m.view.scroll = pageText, msg.title, msg.lines, 0
	case rowMsg:
		if msg.tap == m.taps && m.view.page == pageTap {
			m.view.text = append(m.view.text, msg.row)
			m.view.text = m.view.text[max(0, len(m.view.text)-topRows):]
			m.view.scroll = len(m.view.text) // the last ones
		}
		return m, m.nextRow()
	case tapEndMsg:
		if msg.tap == m.taps && m.view.page == pageTap && msg.err != nil {
			m.view.text = append(m.view.text, msg.err.Error())
		}
	case tea.KeyPressMsg:
		return m.key(msg.String())
	}
	return m, nil
}

// take takes a frame, unless it is of a page that was left.
func (m *topScreen) take(msg frameMsg) {
	if msg.job != m.job {
		return
	}
	if msg.err != nil {
		m.view.frame.err = msg.err
		return
	}
	m.view.frame = msg.frame
	m.view.selected = max(0, min(m.view.selected, m.count()-1))
}

// count is how many lines can be selected.
func (m *topScreen) count() int {
	if m.view.frame.job != nil {
		return len(m.view.frame.parts)
	}
	return len(m.view.frame.jobs)
}

// key does what a key says.
func (m *topScreen) key(key string) (tea.Model, tea.Cmd) {
	switch key {
	case "ctrl+c":
		return m, tea.Quit
	case "q", "esc":
		return m.back()
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.view.height / 2)
	case "pgdown":
		m.move(m.view.height / 2)
	case "home":
		m.move(-1 << 20)
	case "end":
		m.move(1 << 20)
	case "enter":
		return m.enter()
	case "w":
		return m, m.why()
	case "d":
		if name := m.chosenJob(); name != "" && m.view.page == pageTable {
			return m, func() tea.Msg {
				lines, err := m.watch.letters(m.ctx, name)
				return pageMsg{"dead letters of " + name, lines, err}
			}
		}
	}
	return m, nil
}

// move selects another line, or scrolls a page.
func (m *topScreen) move(n int) {
	if m.view.page != pageTable {
		m.view.scroll = max(0, min(m.view.scroll+n, len(m.view.text)-1))
		return
	}
	m.view.selected = max(0, min(m.view.selected+n, m.count()-1))
}

// back leaves a page, then the job, then the screen.
func (m *topScreen) back() (tea.Model, tea.Cmd) {
	if m.stopTap != nil {
		m.stopTap()
		m.stopTap = nil
	}
	switch {
	case m.view.page != pageTable:
		m.view.page = pageTable
	case m.job != "" && !m.only:
		m.open("")
		return m, m.ask()
	default:
		return m, tea.Quit
	}
	return m, nil
}

// open shows another job, or the list.
func (m *topScreen) open(job string) {
	m.job, m.view.selected, m.view.page = job, 0, pageTable
	m.view.frame = topFrame{at: m.view.frame.at, server: m.view.frame.server}
	m.busy = false
}

// chosenJob is the job that is shown or selected.
func (m *topScreen) chosenJob() string {
	if m.job != "" {
		return m.job
	}
	if f := &m.view.frame; m.view.selected < len(f.jobs) {
		return f.jobs[m.view.selected].Name
	}
	return ""
}

// enter opens the selected job, or taps the selected part.
func (m *topScreen) enter() (tea.Model, tea.Cmd) {
	f := &m.view.frame
	switch {
	case m.view.page != pageTable:
		return m, nil
	case m.job == "" && m.view.selected < len(f.jobs):
		m.open(f.jobs[m.view.selected].Name)
		return m, m.ask()
	case m.job == "" || m.view.selected >= len(f.parts):
		return m, nil
	}
	name, step := m.job, f.parts[m.view.selected].name
	m.view.page, m.view.title, m.view.text, m.view.scroll = pageTap, "rows of "+step+", at most 50 a second", nil, 0
	ctx, stop := context.WithCancel(m.ctx)
	m.stopTap = stop
	m.taps++
	tap := m.taps
	return m, func() tea.Msg {
		err := m.watch.tap(ctx, name, step, func(row string) {
			select {
			case m.rows <- tappedRow{tap, row}:
			case <-ctx.Done():
			}
		})
		return tapEndMsg{tap, err}
	}
}

// why asks where the rows of the selected output went, or of all.
func (m *topScreen) why() tea.Cmd {
	name := m.chosenJob()
	if name == "" || m.view.page != pageTable {
		return nil
	}
	output := ""
	if f := &m.view.frame; m.job != "" && m.view.selected < len(f.parts) && f.parts[m.view.selected].kind == topOutput {
		output = f.parts[m.view.selected].name
	}
	return func() tea.Msg {
		lines, err := m.watch.whyLines(m.ctx, name, output)
		return pageMsg{"where did the rows go: " + strings.TrimSpace(name+" "+output), lines, err}
	}
}

// View draws.
func (m *topScreen) View() tea.View {
	v := tea.NewView(strings.Join(m.view.lines(), "\n"))
	v.AltScreen = true
	return v
}
