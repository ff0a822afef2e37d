package saql

// isWindow tells whether a window starts here: its name directly followed by "(".
func (p *parser) isWindow() bool {
	t := p.tok()
	if t.kind != tokWord || !p.ahead(1).is("(") {
		return false
	}
	_, ok := windowNames[t.text]
	return ok || t.text == "windows"
}

// groupItem reads an item of GROUP BY (saql.md 2.5).
func (p *parser) groupItem() GroupItem {
	start := p.start()
	g := GroupItem{}
	switch {
	case p.isWindow() && p.word("windows"):
		g.Windows = p.windowSet()
	case p.isWindow():
		g.Window = p.window()
	default:
		g.Key = p.expr()
		if c, ok := g.Key.(*Call); ok && isSnapshot(c) {
			g.Key, g.Snapshot = nil, c
		}
	}
	g.Span = p.since(start)
	return g
}

// isSnapshot tells whether a call is System.Timestamp().
func isSnapshot(c *Call) bool {
	return c.Prefix != nil && c.Prefix.Quote == 0 && Fold(c.Prefix.Text) == "system" &&
		Fold(c.Name.Text) == "timestamp" && len(c.Args) == 0 && !c.Star && c.Over == nil
}

// windowSet reads Windows(...).
func (p *parser) windowSet() *WindowSet {
	w := &WindowSet{}
	start := p.start()
	p.next()
	open := p.next()
	open.role = roleCall
	if !p.deeper() {
		p.depth--
		return w
	}
	p.list(func() { w.Entries = append(w.Entries, p.windowEntry()) })
	p.depth--
	p.closing(open.span)
	w.Span = p.since(start)
	return w
}

// windowEntry reads an entry of Windows: a window, System.Timestamp() or Window('id', ..).
func (p *parser) windowEntry() WindowEntry {
	start := p.start()
	e := WindowEntry{}
	if p.word("window") && p.ahead(1).is("(") {
		p.next()
		open := p.next()
		open.role = roleCall
		e.ID = p.textLiteral("a text as the id of the window")
		p.expect(",")
		p.windowBody(&e)
		p.closing(open.span)
	} else {
		p.windowBody(&e)
	}
	e.Span = p.since(start)
	return e
}

func (p *parser) windowBody(e *WindowEntry) {
	switch {
	case p.lost:
	case p.isWindow() && p.word("windows"):
		e.Nested = p.windowSet()
	case p.isWindow():
		e.Window = p.window()
	case p.words("system") && p.ahead(1).is(".") && p.ahead(2).isWord("timestamp"):
		if c, ok := p.primary().(*Call); ok {
			e.Snapshot = c
		}
	default:
		p.expected("a window such as TumblingWindow(minute, 5)")
	}
}

// window reads one time window with its arguments.
func (p *parser) window() *WindowSpec {
	start := p.start()
	w := &WindowSpec{Kind: windowNames[p.tok().text], Name: p.take()}
	open := p.next()
	open.role = roleCall
	if !p.op(")") {
		p.list(func() { w.Args = append(w.Args, p.windowArg()) })
	}
	p.closing(open.span)
	if over := p.tok(); p.keyword("over") {
		inner := p.tok()
		if p.expect("(") {
			if p.expectKeyword("PARTITION BY", "partition", "by") {
				w.Over = p.keys()
			}
			p.closing(inner.span)
		}
		w.OverAt = over.span.To(p.prev().span)
	}
	w.Span = p.since(start)
	return w
}

// windowArg reads a unit, a number, or a form such as Duration(minute, 5).
func (p *parser) windowArg() WindowArg {
	start := p.start()
	a := WindowArg{}
	t := p.tok()
	switch {
	case t.kind == tokWord && windowParts[t.text] && p.ahead(1).is("("):
		n := p.take()
		a.Func = &n
		open := p.next()
		open.role = roleCall
		unit := p.name("a unit of time")
		a.Unit = &unit
		p.expect(",")
		a.Value = p.nested()
		p.closing(open.span)
	case nameToken(t) && (p.ahead(1).is(",") || p.ahead(1).is(")")):
		n := p.take()
		a.Unit = &n
	default:
		a.Value = p.nested()
	}
	a.Span = p.since(start)
	return a
}
