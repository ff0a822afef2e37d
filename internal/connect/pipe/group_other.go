//go:build !unix

package pipe

import "os/exec"

// ownGroup does nothing here: there are no groups of processes.
func ownGroup(*exec.Cmd) {}

// terminate ends the program: there is no asking.
func terminate(cmd *exec.Cmd) { kill(cmd) }

// kill ends the program. One that has ended is no error.
func kill(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
