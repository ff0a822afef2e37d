package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// bodyRows are the rows that a body holds, each on one line: JSON values one after another, of
// arrays of objects their elements. A body that is no JSON is one text, or bytes in base64.
func bodyRows(body []byte) []json.RawMessage {
	if len(body) > 0 && body[0] == '{' && bytes.IndexByte(body, '\n') < 0 && json.Valid(body) {
		return []json.RawMessage{body}
	}
	var rows []json.RawMessage
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	for {
		var v json.RawMessage
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			return []json.RawMessage{textRow(body)}
		}
		var list []json.RawMessage
		if v[0] != '[' || json.Unmarshal(v, &list) != nil || !allObjects(list) {
			list = []json.RawMessage{v}
		}
		for _, v := range list {
			var line bytes.Buffer
			if json.Compact(&line, v) == nil {
				v = line.Bytes()
			}
			rows = append(rows, v)
		}
	}
}

func allObjects(list []json.RawMessage) bool {
	for _, v := range list {
		if v = bytes.TrimSpace(v); len(v) == 0 || v[0] != '{' {
			return false
		}
	}
	return true
}

// textRow is a body that is no JSON.
func textRow(body []byte) json.RawMessage {
	var v any = map[string][]byte{"base64": body}
	if utf8.Valid(body) {
		v = string(body)
	}
	b, err := plainJSON(v)
	if err != nil {
		return json.RawMessage("null") // neither can fail
	}
	return b
}

// plainJSON is a value as JSON on one line, without escapes that only pages of HTML need.
func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
