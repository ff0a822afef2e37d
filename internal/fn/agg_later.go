package fn

// Aggregates of saql.md 7.6 that are known by name and not supported yet. All but the
// percentiles look at the order of rows.
var (
	_ = agg(Agg{Name: "PERCENTILE_CONT", Params: []Param{{Name: "share", Types: Num}}, Result: gives(Float | Null), Later: true,
		Doc: Doc{Summary: "PERCENTILE_CONT returns the value at a share of the sorted values, linear between neighbours.", Section: "7.6"}})
	_ = agg(Agg{Name: "PERCENTILE_DISC", Params: []Param{{Name: "share", Types: Num}}, Result: gives(Any), Later: true,
		Doc: Doc{Summary: "PERCENTILE_DISC returns the first sorted value up to which a share of the values lies.", Section: "7.6"}})
	_ = agg(Agg{Name: "Collect", Params: []Param{{Name: "value", Types: Any}}, Result: gives(Arr), Later: true, InOrder: true,
		Doc: Doc{Summary: "Collect returns an array of the rows, or of a value of each row.", Section: "7.6"}})
	_ = agg(Agg{Name: "CollectTop", Params: []Param{{Name: "count", Types: Bigint}, {Name: "value", Types: Any}}, Result: gives(Arr), Later: true, InOrder: true,
		Doc: Doc{Summary: "CollectTop returns an array of the first rows of an order, each with its rank.", Section: "7.6"}})
	_ = agg(Agg{Name: "TopOne", Params: []Param{{Name: "value", Types: Any}}, Result: gives(Any), Later: true, InOrder: true,
		Doc: Doc{Summary: "TopOne returns the first row of an order, or a value of it.", Section: "7.6"}})
)
