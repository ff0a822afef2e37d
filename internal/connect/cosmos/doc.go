// Package cosmos writes documents of Cosmos DB and reads its change feed.
package cosmos
