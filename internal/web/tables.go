package web

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"weir/internal/service"
)

// TableName is the part of a path that names a table.
type TableName struct {
	Table string `path:"table" maxLength:"400" example:"downtime.teams" doc:"JOB.OUTPUT"`
}

type tableList struct {
	Body struct {
		Tables []service.TableView `json:"tables"`
	}
}

type documentList struct {
	Body struct {
		Documents []service.DocumentView `json:"documents"`
	}
}

type changeList struct {
	Body struct {
		Changes []service.DocumentView `json:"changes"`
		Next    int64                  `json:"next" doc:"The position to go on behind."`
	}
}

// tableRoutes are the routes about tables that outputs write.
func (s *Server) tableRoutes() {
	const tag = "Tables"
	huma.Register(s.api, op("GET", "/tables", "list-tables", tag, "The tables that outputs write"), func(ctx context.Context, _ *struct{}) (*tableList, error) {
		list, err := s.svc.Tables(ctx)
		out := &tableList{}
		out.Body.Tables = list
		return out, s.problem(err)
	})
	huma.Register(s.api, op("GET", "/tables/{table}/docs", "list-documents", tag, "Documents of a table, by id", 404), func(ctx context.Context, in *struct {
		TableName
		Prefix         string `query:"prefix" doc:"Of the id."`
		AfterPartition string `query:"after_partition" doc:"With after: the partition of the last document that you have."`
		After          string `query:"after" doc:"The id of the last document that you have."`
		Limit          int    `query:"limit" minimum:"1" maximum:"10000" default:"100"`
	}) (*documentList, error) {
		list, err := s.svc.Documents(ctx, in.Table, in.Prefix, in.AfterPartition, in.After, in.Limit)
		if err != nil {
			return nil, s.problem(err)
		}
		out := &documentList{}
		out.Body.Documents = list
		return out, nil
	})
	huma.Register(s.api, op("GET", "/tables/{table}/feed", "read-feed", tag, "The changes of a table from a position on", 404, 410), func(ctx context.Context, in *struct {
		TableName
		After int64   `query:"after" minimum:"0" doc:"A position; 0 is the start."`
		Limit int     `query:"limit" minimum:"1" maximum:"10000" default:"100"`
		Wait  float64 `query:"wait" minimum:"0" maximum:"60" doc:"Seconds to wait for a change if there is none."`
	}) (*changeList, error) {
		list, err := s.svc.Feed(ctx, in.Table, in.After, in.Limit, time.Duration(in.Wait*float64(time.Second)))
		if err != nil {
			return nil, s.problem(err)
		}
		out := &changeList{}
		out.Body.Changes, out.Body.Next = list, in.After
		if len(list) > 0 {
			out.Body.Next = list[len(list)-1].Position
		}
		return out, nil
	})
}
