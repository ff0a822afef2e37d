package exec

// SetLimits makes the limits small enough for tests to reach them, and gives a function
// that sets them back.
func SetLimits(idle, ring, table, results int) (restore func()) {
	was := limits
	limits.idleGroups, limits.ring, limits.table, limits.results = idle, int64(ring), int64(table), results
	limits.matchRows = idle
	return func() { limits = was }
}
