package twin

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseJSON reads a JSON value as an event does (saql.md 3.10): a number token without
// point and exponent is a bigint, other numbers are floats; later equal names win.
func ParseJSON(text string) (Value, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readJSON(d)
	if err != nil {
		return null, fmt.Errorf("%s: %w", text, err)
	}
	return v, nil
}

func readJSON(d *json.Decoder) (Value, error) {
	token, err := d.Token()
	if err != nil {
		return null, err
	}
	switch x := token.(type) {
	case nil:
		return null, nil
	case bool:
		return bitValue(x), nil
	case string:
		return textValue(x), nil
	case json.Number:
		return jsonNumber(x.String())
	case json.Delim:
		if x == '[' {
			return readArray(d)
		}
	}
	return readRecord(d)
}

func jsonNumber(s string) (Value, error) {
	if !strings.ContainsAny(s, ".eE") {
		x, err := strconv.ParseInt(s, 10, 64)
		return intValue(x), err
	}
	x, err := strconv.ParseFloat(s, 64)
	return Value{Kind: Float, Float: x}, err
}

func readArray(d *json.Decoder) (Value, error) {
	v := Value{Kind: Array}
	for d.More() {
		item, err := readJSON(d)
		if err != nil {
			return null, err
		}
		v.Items = append(v.Items, item)
	}
	_, err := d.Token()
	return v, err
}

func readRecord(d *json.Decoder) (Value, error) {
	v := Value{Kind: Record}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return null, err
		}
		item, err := readJSON(d)
		if err != nil {
			return null, err
		}
		v.Fields = append(v.Fields, Field{name.(string), item})
	}
	_, err := d.Token()
	return v, err
}

// JSON is the value as the output writes it (saql.md 3.11).
func (v Value) JSON() string {
	switch v.Kind {
	case Null:
		return "null"
	case Text:
		return quoted(v.Text)
	case Time:
		return quoted(timeText(v.Int))
	case Float:
		return floatJSON(v.Float)
	case Array:
		var parts []string
		for _, item := range v.Items {
			parts = append(parts, item.JSON())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case Record:
		var parts []string
		for _, f := range v.Fields {
			parts = append(parts, quoted(f.Name)+":"+f.Value.JSON())
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return asText(v)
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

// floatJSON always shows that the number is a float.
func floatJSON(x float64) string {
	s := strconv.FormatFloat(x+0, 'f', -1, 64) // +0: negative zero prints as 0.0
	if a := math.Abs(x); a != 0 && (a < 1e-5 || a >= 1e15) {
		s = strconv.FormatFloat(x, 'e', -1, 64)
	}
	if strings.ContainsAny(s, ".e") {
		return s
	}
	return s + ".0"
}
