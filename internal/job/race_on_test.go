//go:build race

package job

// raceEnabled says that memory is not what it is without the race detector.
const raceEnabled = true
