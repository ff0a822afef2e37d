package project

import (
	"fmt"
	"path/filepath"
	"strings"
)

// resolve fills in ${env:..} and ${file:..} in all texts below a node (ux.md 5.2). What comes
// in stays a text and is never parsed.
func (r *reader) resolve(n *node) {
	switch n.kind {
	case textNode:
		r.resolveText(n)
	case listNode:
		for _, x := range n.items {
			r.resolve(x)
		}
	case objectNode:
		for _, m := range n.members {
			r.resolve(m.value)
		}
	}
}

func (r *reader) resolveText(n *node) {
	if !strings.Contains(n.text, "$") {
		return
	}
	n.written = n.text
	var b strings.Builder
	rest := n.text
	for {
		i := strings.IndexByte(rest, '$')
		if i < 0 || i+1 == len(rest) {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		rest = rest[i:]
		switch rest[1] {
		case '$':
			b.WriteByte('$')
			rest = rest[2:]
		case '{':
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				r.fail(n, "write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}; $$ is a dollar sign", "${ is never closed")
				return
			}
			value, ok := r.reference(n, rest[2:end])
			if !ok {
				value = rest[:end+1]
				n.open = true
			}
			b.WriteString(value)
			rest = rest[end+1:]
		default:
			b.WriteByte('$')
			rest = rest[1:]
		}
	}
	n.text = b.String()
}

// reference gives the value of what stands between ${ and }. ok is false if there is none,
// which was reported unless the job is to be loaded without.
func (r *reader) reference(n *node, ref string) (value string, ok bool) {
	scheme, rest, found := strings.Cut(ref, ":")
	switch {
	case found && scheme == "env":
		value, ok = r.environment(n, rest)
	case found && scheme == "file":
		value, ok = r.fileValue(n, rest)
	case !found && isVariable(ref):
		r.fail(n, fmt.Sprintf("write ${env:%s}, or $${%s} if the text itself is meant", ref, ref), "${%s} does not say where its value comes from", ref)
		return "", false
	default:
		r.fail(n, "write ${env:NAME}, ${env:NAME:-default}, ${env:NAME:?message} or ${file:PATH}; $$ is a dollar sign", "${%s} is no reference", ref)
		return "", false
	}
	if ok {
		n.outside = true
		if _, fallback, _ := strings.Cut(rest, ":-"); fallback != value { // a default stands in the file
			r.keepOut(value, "${"+ref+"}")
		}
		return value, true
	}
	if n.missing == "" {
		n.missing = "${" + ref + "}"
	}
	return "", false
}

// minHidden is how long a value must be to be cut out of messages: a shorter one is no secret,
// and stands in half of all words.
const minHidden = 4

// keepOut takes a value out of all messages.
func (r *reader) keepOut(value, written string) {
	if len(value) >= minHidden {
		r.values = append(r.values, substituted{value, written})
	}
}

// environment gives the value of ${env:NAME..}.
func (r *reader) environment(n *node, ref string) (string, bool) {
	name, rest, more := strings.Cut(ref, ":")
	if !isVariable(name) {
		r.fail(n, "a name has letters, digits and _", "%q is no name of an environment variable", name)
		return "", false
	}
	if r.o.Env != nil {
		if v, ok := r.o.Env(name); ok && (v != "" || !more) {
			return v, true
		}
	}
	switch {
	case more && strings.HasPrefix(rest, "-"):
		return rest[1:], true
	case more && !strings.HasPrefix(rest, "?"):
		r.fail(n, "write ${env:"+name+":-default} or ${env:"+name+":?message}", "${env:%s} is no reference", ref)
	case r.o.KeepReferences:
	case more:
		r.fail(n, "set it, or give a default: ${env:"+name+":-default}", "%s (the environment variable %s is not set)", strings.TrimPrefix(rest, "?"), name)
	default:
		r.fail(n, "set it, or give a default: ${env:"+name+":-default}", "the environment variable %s is not set", name)
	}
	return "", false
}

// fileValue gives the text of a file without its last line end.
func (r *reader) fileValue(n *node, path string) (string, bool) {
	full := path
	if !filepath.IsAbs(full) {
		full = n.src.find(filepath.FromSlash(path))
	}
	s, err := r.open(full, path, maxValueBytes)
	if err == nil {
		r.sources = r.sources[:len(r.sources)-1] // no finding points into it
		return strings.TrimSuffix(strings.TrimSuffix(s.text, "\n"), "\r"), true
	}
	if !r.o.KeepReferences {
		r.fail(n, nearFile(full), "cannot read the file %s: %s", path, reason(err))
	}
	return "", false
}

// isVariable tells whether a text may name an environment variable.
func isVariable(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c == '_', 'a' <= c|0x20 && c|0x20 <= 'z', i > 0 && '0' <= c && c <= '9':
		default:
			return false
		}
	}
	return s != ""
}
