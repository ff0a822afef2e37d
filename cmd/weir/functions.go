package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/internal/caserun"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/udf"
	"weir/internal/vec"
)

// functionFlags declare the user functions of a query (saql.md 10.1), for the verbs that
// take one.
type functionFlags struct {
	Function       []string      `sep:"none" placeholder:"[NAME=]FILE.js" help:"A function in JavaScript, which the query calls as UDF.NAME. NAME is that of the file unless given."`
	Aggregate      []string      `sep:"none" placeholder:"[NAME=]FILE.js[,TYPE]" help:"An aggregate in JavaScript, UDA.NAME, whose results are cast to TYPE."`
	FunctionTime   time.Duration `default:"1s" placeholder:"D" help:"How long one call of a function may take. Default ${default}."`
	FunctionMemory int64         `default:"64" placeholder:"MIB" help:"How much memory one call of a function may take. Default ${default} MiB."`
}

// declare adds the functions to what a query is compiled against.
func (f *functionFlags) declare(env *plan.Env) error {
	limits := udf.Limits{Time: f.FunctionTime, Memory: f.FunctionMemory << 20}
	if limits.Time <= 0 || f.FunctionMemory < 1 || f.FunctionMemory > 1<<20 {
		return usage("--function-time must be more than 0 and --function-memory from 1 to 1048576 MiB")
	}
	env.Load = func(s plan.FunctionSource) (plan.Function, error) { return caserun.LoadFunction(s, limits) }
	for _, spec := range f.Function {
		if err := declareFunction(env, "--function", spec); err != nil {
			return err
		}
	}
	for _, spec := range f.Aggregate {
		if err := declareFunction(env, "--aggregate", spec); err != nil {
			return err
		}
	}
	return nil
}

// declareFunction adds the function of one flag.
func declareFunction(env *plan.Env, flag, spec string) error {
	name, file, named := strings.Cut(spec, "=")
	if !named {
		file = spec
	}
	src := plan.FunctionSource{Name: name, Aggregate: flag == "--aggregate", Level: env.Level}
	if at := strings.LastIndexByte(file, ','); at >= 0 && src.Aggregate {
		kind, ok := returned[strings.ToLower(file[at+1:])]
		if !ok {
			return usage("%s %s: %q is no type; write bigint, float, nvarchar, datetime, bit, record, array or any", flag, spec, file[at+1:])
		}
		file, src.Returns = file[:at], kind
	}
	if !named {
		src.Name, _, _ = strings.Cut(filepath.Base(file), ".")
	}
	if src.Name == "" || file == "" {
		return usage("%s %s: write NAME=FILE.js", flag, spec)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return usage("cannot read the function %s: %w", src.Name, err)
	}
	if len(b) > maxQueryBytes {
		return usage("the function %s is longer than 1 MiB", file)
	}
	src.Script = strings.TrimPrefix(string(b), "\ufeff")
	made, err := env.Load(src)
	if err != nil {
		return usage("%s: function %q does not load: %w", scriptPlace(file, err), src.Name, err)
	}
	for _, other := range env.Functions {
		if other.Aggregate == made.Aggregate && strings.EqualFold(other.Name, made.Name) {
			return usage("%s %s: there are two functions of the name %s", flag, spec, made.Name)
		}
	}
	env.Functions = append(env.Functions, made)
	return nil
}

// returned are the types that an aggregate may give, by their names.
var returned = map[string]vec.Kind{"any": vec.Missing, "bigint": vec.Int, "float": vec.Float, "nvarchar": vec.String, "nvarchar(max)": vec.String,
	"datetime": vec.Datetime, "bit": vec.Bit, "record": vec.Record, "array": vec.Array}

// scriptPlace is the file and, if it is known, the place in it where a script is wrong.
func scriptPlace(file string, err error) string {
	if e, ok := errors.AsType[*fn.ScriptError](err); ok && e.Line > 0 {
		return fmt.Sprintf("%s:%d:%d", file, e.Line, e.Column)
	}
	return file
}
