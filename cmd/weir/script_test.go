package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": main})
}

// TestScripts runs the stories of testdata/script: what people type and what they see.
// With WEIR_UPDATE set, expected texts in them are replaced by what comes out: read the
// difference before you commit it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("WEIR_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Setup: func(e *testscript.Env) error {
			examples, err := filepath.Abs("../../examples")
			e.Setenv("EXAMPLES", examples)
			e.Setenv("WEIR_TEST_MARIADB", os.Getenv("WEIR_TEST_MARIADB"))
			return err
		},
		Condition: func(name string) (bool, error) {
			if name == "mariadb" { // scripts/servers.sh has started one
				return os.Getenv("WEIR_TEST_MARIADB") != "", nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
	})
}
