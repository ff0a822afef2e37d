//go:build servers

package sql

import (
	"os"
	"os/exec"
	"testing"
)

// newServer is a database server that scripts/servers.sh has started.
func newServer(t testing.TB, d *dialect, variable string) *base {
	t.Helper()
	dsn := os.Getenv(variable)
	if dsn == "" {
		t.Fatalf("%s is not set: run this test by \"make servers\"", variable)
	}
	b := &base{dialect: d, config: map[string]any{"dsn": secret(dsn)}, control: os.Getenv(variable + "_CONTROL")}
	b.open(t)
	return b
}

// ctl stops, kills or starts the server.
func (b *base) ctl(t testing.TB, what string) {
	t.Helper()
	if out, err := exec.Command(b.control, what).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", b.control, what, err, out)
	}
}

func postgres(t testing.TB) *base { return newServer(t, postgresDialect, "WEIR_TEST_POSTGRES") }
func mariadb(t testing.TB) *base  { return newServer(t, mysqlDialect, "WEIR_TEST_MARIADB") }

func TestPostgresSuite(t *testing.T) { postgres(t).suite(t, nil) }
func TestMariaDBSuite(t *testing.T)  { mariadb(t).suite(t, nil) }
func TestPostgres(t *testing.T)      { postgres(t).cases(t) }
func TestMariaDB(t *testing.T)       { mariadb(t).cases(t) }
