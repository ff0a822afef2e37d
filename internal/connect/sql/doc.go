// Package sql writes rows to SQLite, PostgreSQL, MySQL, MariaDB and SQL Server.
package sql
