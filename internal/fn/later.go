package fn

// LaterFunction is a name of the language that this engine knows and does not run yet.
type LaterFunction struct {
	Name    string
	Kind    string // what it is, for people
	Section string // of saql.md
}

// Later lists these names. Whoever writes such a function takes it from here.
var Later = []LaterFunction{
	{"GetArrayElements", "function of APPLY", "6.7"},
	{"GetRecordProperties", "function of APPLY", "6.7"},
}

// LookupLater finds a name that is known and not supported yet, without case.
func LookupLater(name string) (LaterFunction, bool) {
	key := foldName(name)
	for _, l := range Later {
		if foldName(l.Name) == key {
			return l, true
		}
	}
	return LaterFunction{}, false
}
