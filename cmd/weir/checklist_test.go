package main

import (
	"regexp"
	"strings"
	"testing"

	"weir/internal/testkit"
)

// checklist is every built-in name of the language: the list at the end of saql.md.
const checklist = `ABS AnomalyDetection_ChangePoint AnomalyDetection_SpikeAndDip AVG CASE CAST CEILING CHARINDEX Classifier
COALESCE Collect CollectTop CONCAT CONCAT_WS COUNT CreateLineString CreatePoint CreatePolygon DATEADD DATEDIFF DATENAME DATEPART
DATETIMEFROMPARTS DAY Duration EXP First FLOOR GetArrayElement GetArrayElements GetArrayLength GetMetadataPropertyValue
GetRecordProperties GetRecordPropertyValue GetType Hop Hopping HoppingWindow ISFIRST JSON_PARSE LAG LAST LEFT LEN LOWER LTRIM MAX
MaxDuration MIN MONTH NCHAR NULLIF Offset PATINDEX PERCENTILE_CONT PERCENTILE_DISC POWER REGEXMATCH REPLACE REPLICATE REVERSE
RIGHT ROUND RTRIM Session SessionWindow SIGN Sliding SlidingWindow SPACE SQRT SQUARE ST_DISTANCE ST_INTERSECTS ST_OVERLAPS
ST_WITHIN STDEV STDEVP STUFF SUBSTRING SUM System.Timestamp System.Window Timeout TopOne TRANSLATE TRIM TRY_CAST Tumbling
TumblingWindow UDA UDF UNICODE UPPER VAR VARP Window Windows YEAR`

// TestChecklist: every name has an entry in the manual, and a case that gives rows calls it.
func TestChecklist(t *testing.T) {
	files, err := testkit.Find([]string{"../../testdata/saql"})
	if err != nil {
		t.Fatal(err)
	}
	var queries strings.Builder
	for _, file := range files {
		c, err := testkit.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if c.Error == "" {
			queries.WriteString(c.Query + "\n")
		}
	}
	names := strings.Fields(checklist)
	if len(names) != 99 {
		t.Errorf("the list has %d names", len(names))
	}
	for _, name := range names {
		if _, ok := lookupManual(name); !ok {
			t.Errorf("the manual has no %s", name)
		}
		call := `(?i)(^|[^\w])` + regexp.QuoteMeta(name) + `\s*\(`
		switch name {
		case "CASE":
			call = `(?i)\bCASE\b`
		case "UDF", "UDA":
			call = `(?i)\b` + name + `\.\w+\(`
		case "System.Timestamp":
			call = `(?i)System\s*\.\s*Timestamp`
		}
		if !regexp.MustCompile(call).MatchString(queries.String()) {
			t.Errorf("no case calls %s", name)
		}
	}
}
