package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/job"
)

// endpoint is what -i, -r and -o say: [ALIAS=]FILE[,OPTION=VALUE]...
type endpoint struct {
	flag    string // -i, -r or -o, for messages
	alias   string // "" if none is given
	path    string
	options map[string]string
}

// option is a trailing ",name=value" of an endpoint.
var option = regexp.MustCompile(`,([A-Za-z]+)=([^,]*)$`)

// parseEndpoint reads an endpoint. known are the options that the flag has.
func parseEndpoint(flag, spec string, known []string) (endpoint, error) {
	e := endpoint{flag: flag, options: map[string]string{}}
	rest := spec
	for {
		m := option.FindStringSubmatchIndex(rest)
		if m == nil {
			break
		}
		name, value := rest[m[2]:m[3]], rest[m[4]:m[5]]
		if !slices.Contains(known, name) {
			return e, usage("%s %s: there is no option %q; there are %s%s", flag, spec, name, strings.Join(known, ", "), didYouMean(name, known))
		}
		e.options[name] = value
		rest = rest[:m[0]]
	}
	// A path with "=" in it needs an alias before it.
	if alias, path, ok := strings.Cut(rest, "="); ok && !strings.ContainsAny(alias, `/\`) {
		e.alias, rest = alias, path
	}
	e.path = rest
	if e.path == "" {
		return e, usage("%s %s: the file is missing; write %s ALIAS=FILE, with - for the standard stream", flag, spec, flag)
	}
	return e, nil
}

// delimiters are the names of the delimiters that CSV may have (saql.md 3.10).
var delimiters = map[string]byte{"comma": ',', "semicolon": ';', "tab": '\t', "space": ' ', "bar": '|'}

// delimiter reads the option of that name; 0 if it is not given.
func (e *endpoint) delimiter() (byte, error) {
	s, ok := e.options["delimiter"]
	if !ok {
		return 0, nil
	}
	if d, ok := delimiters[s]; ok {
		return d, nil
	}
	for _, d := range delimiters {
		if s == string(d) {
			return d, nil
		}
	}
	return 0, usage("%s %s: delimiter %q; it must be comma, semicolon, tab, space or bar", e.flag, e.path, s)
}

// The options of inputs.
var inputOptions = []string{"format", "delimiter", "compression", "header"}

// input turns the endpoint into an input of a job with the name of the plan's input.
func (e *endpoint) input(name string, con *console) (job.Input, error) {
	in := job.Input{Name: name, Path: e.path}
	if e.path == "-" {
		in.Reader = con.in
	} else if err := readable(e.path); err != nil {
		return in, usage("input %q: %w", name, err)
	}
	delimiter, err := e.delimiter()
	if err != nil {
		return in, err
	}
	switch format := e.options["format"]; format {
	case "", "auto":
		ext := extension(e.path)
		in.Format.CSV = ext == ".csv" || ext == ".tsv" || delimiter != 0
	case "csv":
		in.Format.CSV = true
	case "json", "avro", "parquet":
		in.Format.Type = format
	default:
		return in, usage("input %q: format %q; it must be json, csv, avro, parquet or auto%s", name, format, didYouMean(format, []string{"json", "csv", "avro", "parquet", "auto"}))
	}
	in.Format.Options = codec.CSVOptions{Delimiter: delimiter, Detect: delimiter == 0}
	switch header := e.options["header"]; header {
	case "", "yes":
	case "no":
		in.Format.Options.NoHeader = true
	default:
		return in, usage("input %q: header %q; it must be yes or no", name, header)
	}
	in.Format.Compression, err = compression(name, e.options["compression"])
	return in, err
}

func compression(name, s string) (codec.Compression, error) {
	switch c := codec.Compression(s); c {
	case codec.CompressAuto, codec.CompressNone, codec.CompressGzip, codec.CompressDeflate, codec.CompressZstd, codec.CompressSnappy:
		return c, nil
	}
	return "", usage("input %q: compression %q; it must be none, gzip, deflate, zstd or snappy, or left out to find it", name, s)
}

// extension is the file's extension without that of its compression.
func extension(path string) string {
	path = strings.ToLower(path)
	ext := filepath.Ext(path)
	if ext == ".gz" || ext == ".zst" || ext == ".sz" {
		ext = filepath.Ext(strings.TrimSuffix(path, ext))
	}
	return ext
}

// readable says in words why a file cannot be read.
func readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s%s", path, nearFile(path))
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory; name a file in it", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// nearFile is a suggestion from the files beside a missing one.
func nearFile(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return didYouMean(filepath.Base(path), names)
}

// distinctFiles refuses to write a file that is read, or written twice: creating it would
// empty it.
func distinctFiles(inputs, outputs []endpoint, deadLetters string) error {
	type use struct {
		what string
		info os.FileInfo
		path string
	}
	var uses []use
	add := func(what, path string, writes bool) error {
		info, _ := os.Stat(path)
		regular := info != nil && info.Mode().IsRegular()
		for _, u := range uses {
			same := filepath.Clean(u.path) == filepath.Clean(path) && (info == nil || regular)
			if writes && (same || regular && os.SameFile(u.info, info)) {
				return usage("%s %s is the file of %s %s too; write to another one", what, path, u.what, u.path)
			}
		}
		uses = append(uses, use{what, info, path})
		return nil
	}
	for _, e := range inputs {
		if err := add(e.flag, e.path, false); err != nil {
			return err
		}
	}
	for _, e := range outputs {
		if e.path != "-" {
			if err := add(e.flag, e.path, true); err != nil {
				return err
			}
		}
	}
	if deadLetters != "" {
		return add("--dead-letters", deadLetters, true)
	}
	return nil
}

// matchAliases gives each name of the query its endpoint. what is "input" or "output".
// With only one name left an endpoint without alias is that one's.
func matchAliases(what string, ends []endpoint, names []string) (map[string]*endpoint, error) {
	got := map[string]*endpoint{}
	for i := range ends {
		e := &ends[i]
		name, err := matchAlias(what, e, names)
		if err != nil {
			return nil, err
		}
		if other := got[name]; other != nil {
			return nil, usage("%s %q is given twice: %s and %s", what, name, other.path, e.path)
		}
		got[name] = e
	}
	return got, nil
}

func matchAlias(what string, e *endpoint, names []string) (string, error) {
	if e.alias == "" {
		if len(names) == 1 {
			return names[0], nil
		}
		return "", usage("%s %s: the query has %d %ss: %s; write %s %s=%s", e.flag, e.path,
			len(names), what, strings.Join(names, ", "), e.flag, first(names, "ALIAS"), e.path)
	}
	for _, n := range names {
		if strings.EqualFold(n, e.alias) {
			return n, nil
		}
	}
	list := "it has none"
	if len(names) > 0 {
		list = "it has " + strings.Join(names, ", ")
	}
	return "", usage("%s %s=%s: the query has no %s %q; %s%s", e.flag, e.alias, e.path, what, e.alias, list, didYouMean(e.alias, names))
}

func first(list []string, other string) string {
	if len(list) > 0 {
		return list[0]
	}
	return other
}
