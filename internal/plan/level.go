package plan

// levelNames are the compatibility levels as a job names them (saql.md 3.9).
var levelNames = map[Level]string{Level12: "1.2", Level11: "1.1", Level10: "1.0"}

// String is the level as a job names it.
func (l Level) String() string { return levelNames[l] }

// ParseLevel reads a compatibility level: 1.0, 1.1 or 1.2.
func ParseLevel(s string) (Level, bool) {
	for _, l := range []Level{Level12, Level11, Level10} {
		if s == levelNames[l] {
			return l, true
		}
	}
	return Level12, false
}
