package twin

import (
	"fmt"
	"strings"

	"weir/internal/saql"
)

// printScript writes a tree as text: the shrinker works on trees and must hand texts to
// the engine.
func printScript(s *saql.Script) string {
	var parts []string
	for _, stmt := range s.Stmts {
		if t, ok := stmt.(*saql.CreateTable); ok {
			var cols []string
			for _, c := range t.Cols {
				cols = append(cols, c.Name.String()+" "+c.Type.Text)
			}
			parts = append(parts, "CREATE TABLE "+t.Name.String()+" ("+strings.Join(cols, ", ")+")")
			continue
		}
		q, ok := stmt.(*saql.Query)
		if !ok {
			panic(fmt.Sprintf("twin: print %T", stmt))
		}
		text := ""
		for i, step := range q.With {
			if i > 0 {
				text += ",\n"
			} else {
				text += "WITH "
			}
			text += step.Name.String() + " AS (" + printQuery(step.Body) + ")"
		}
		if text != "" {
			text += "\n"
		}
		parts = append(parts, text+printQuery(q.Body))
	}
	return strings.Join(parts, ";\n")
}

func printQuery(q saql.QueryExpr) string {
	if u, ok := q.(*saql.Union); ok {
		var parts []string
		for _, b := range u.Branches {
			parts = append(parts, printQuery(b))
		}
		return strings.Join(parts, " UNION ")
	}
	s := q.(*saql.Select)
	text := "SELECT "
	if s.Distinct {
		text += "DISTINCT "
	}
	if s.Top != nil {
		text += fmt.Sprintf("TOP %d ", s.Top.Count)
	}
	var items []string
	for _, i := range s.Items {
		items = append(items, printItem(i))
	}
	text += strings.Join(items, ", ")
	if s.Into != nil {
		text += " INTO " + s.Into.String()
	}
	text += " FROM " + printTable(s.From)
	if s.Where != nil {
		text += " WHERE " + saql.Print(s.Where)
	}
	var groups []string
	for _, g := range s.GroupBy {
		groups = append(groups, printGroup(g))
	}
	if groups != nil {
		text += " GROUP BY " + strings.Join(groups, ", ")
	}
	if s.Having != nil {
		text += " HAVING " + saql.Print(s.Having)
	}
	if s.OrderBy != nil {
		text += " ORDER BY " + printOrder(s.OrderBy)
	}
	return text
}

func printOrder(list []saql.OrderItem) string {
	var keys []string
	for _, k := range list {
		text := saql.Print(k.Expr)
		if k.Desc {
			text += " DESC"
		}
		keys = append(keys, text)
	}
	return strings.Join(keys, ", ")
}

func printItem(i saql.SelectItem) string {
	if i.Star {
		text := ""
		for _, n := range i.StarOf {
			text += n.String() + "."
		}
		return text + "*"
	}
	text := saql.Print(i.Expr)
	if i.Alias != nil {
		text += " AS " + i.Alias.String()
	}
	return text
}

func printTable(t saql.TableExpr) string {
	switch t := t.(type) {
	case *saql.ParenTable:
		return "(" + printTable(t.Table) + ")"
	case *saql.Source:
		text := t.Name.String()
		if t.Alias != nil {
			text += " AS " + t.Alias.String()
		}
		if t.TimestampBy != nil {
			text += " TIMESTAMP BY " + saql.Print(t.TimestampBy.Expr)
			if t.TimestampBy.Over != nil {
				text += " OVER " + printList(t.TimestampBy.Over)
			}
		}
		return text + printPartition(t.PartitionBy) + printMatch(t.Match)
	case *saql.Derived:
		text := "(" + printQuery(t.Body) + ")"
		if t.Alias != nil {
			text += " AS " + t.Alias.String()
		}
		return text + printPartition(t.PartitionBy) + printMatch(t.Match)
	case *saql.Join:
		text := " JOIN "
		if t.Kind == saql.LeftJoin {
			text = " LEFT JOIN "
		}
		return printTable(t.Left) + text + printTable(t.Right) + " ON " + saql.Print(t.On)
	case *saql.Apply:
		text := " CROSS APPLY "
		if t.Outer {
			text = " OUTER APPLY "
		}
		return printTable(t.Left) + text + t.Func.String() + "(" + saql.Print(t.Arg) + ") AS " + t.Alias.String()
	}
	panic(fmt.Sprintf("twin: print %T", t))
}

func printPartition(p *saql.PartitionBy) string {
	if p == nil {
		return ""
	}
	return " PARTITION BY " + printList(p.Keys)
}

func printList(list []saql.Expr) string {
	var parts []string
	for _, e := range list {
		parts = append(parts, saql.Print(e))
	}
	return strings.Join(parts, ", ")
}

func printGroup(g saql.GroupItem) string {
	switch {
	case g.Window != nil:
		return printWindow(g.Window)
	case g.Snapshot != nil:
		return "System.Timestamp()"
	case g.Key != nil:
		return saql.Print(g.Key)
	}
	var parts []string
	for _, e := range g.Windows.Entries {
		text := "System.Timestamp()"
		if e.Window != nil {
			text = printWindow(e.Window)
		}
		if e.ID != nil {
			text = "Window(" + e.ID.Raw + ", " + text + ")"
		}
		parts = append(parts, text)
	}
	return "Windows(" + strings.Join(parts, ", ") + ")"
}

func printWindow(w *saql.WindowSpec) string {
	var args []string
	for _, a := range w.Args {
		switch {
		case a.Func != nil:
			args = append(args, a.Func.String()+"("+a.Unit.String()+", "+saql.Print(a.Value)+")")
		case a.Unit != nil:
			args = append(args, a.Unit.String())
		default:
			args = append(args, saql.Print(a.Value))
		}
	}
	text := w.Name.String() + "(" + strings.Join(args, ", ") + ")"
	if w.Over != nil {
		text += " OVER (PARTITION BY " + printList(w.Over) + ")"
	}
	return text
}

func printMatch(m *saql.MatchRecognize) string {
	if m == nil {
		return ""
	}
	text := " MATCH_RECOGNIZE (LIMIT DURATION(" + m.Limit.Unit.String() + ", " + saql.Print(m.Limit.Value) + ")"
	if m.PartitionBy != nil {
		text += " PARTITION BY " + printList(m.PartitionBy)
	}
	var measures, define []string
	for _, x := range m.Measures {
		measures = append(measures, saql.Print(x.Expr)+" AS "+x.Alias.String())
	}
	for _, d := range m.Define {
		define = append(define, d.Name.String()+" AS "+saql.Print(d.Cond))
	}
	text += " MEASURES " + strings.Join(measures, ", ") + " AFTER MATCH SKIP TO NEXT ROW PATTERN (" +
		printPattern(m.Pattern) + ") DEFINE " + strings.Join(define, ", ") + ")"
	if m.Alias != nil {
		text += " AS " + m.Alias.String()
	}
	return text
}

func printPattern(p saql.Pattern) string {
	switch p := p.(type) {
	case *saql.PatternVar:
		if p.Any {
			return "."
		}
		return p.Name.String()
	case *saql.PatternGroup:
		return "(" + printPattern(p.X) + ")"
	case *saql.PatternRepeat:
		return printPattern(p.X) + string(p.Op)
	case *saql.PatternAlt:
		var parts []string
		for _, x := range p.Alts {
			parts = append(parts, printPattern(x))
		}
		return strings.Join(parts, " | ")
	}
	var parts []string
	for _, x := range p.(*saql.PatternSeq).Parts {
		parts = append(parts, printPattern(x))
	}
	return strings.Join(parts, " ")
}
