package project

import (
	"strings"

	"weir/internal/connect"
)

// blobType is the connector that talks to Blob Storage.
const blobType = "azure-blob"

// connectBlob maps to blobs of the same account and container (jobmodel.md 4, 6). Reference data
// may have the name of the blob apart from the path.
func connectBlob(_ *reader, e *entry, p *node) {
	if _, ok := connect.Find(blobType); !ok {
		return // this program is built without it
	}
	account := p
	if list := p.look("storageAccounts"); list != nil && len(list.items) > 0 {
		account = list.items[0]
	}
	name, container := account.look("accountName"), p.look("container")
	if !isNamed(name) || !isNamed(container) {
		return
	}
	e.settingText("type", blobType, nil)
	e.settingText("account", name.text, name)
	e.settingText("container", container.text, container)
	if strings.EqualFold(p.word("authenticationMode"), "Msi") {
		e.settingText("sign_in", "entra", p.look("authenticationMode"))
	} else {
		key := account.look("accountKey")
		if !key.scalar() || key.text == "" || isPlaceholder(key.text) {
			key = &node{kind: textNode, open: true, src: e.src, span: e.span} // an export left it out
		}
		e.settingText("account_key", key.text, key)
	}
	e.blobPath(p)
	for setting, of := range map[string]string{"date_format": "dateFormat", "time_format": "timeFormat"} {
		if f := p.look(of); f.scalar() && f.text != "" {
			e.settingText(setting, strings.NewReplacer("Y", "y", "D", "d").Replace(f.text), f)
		}
	}
	if n := p.look("sourcePartitionCount"); e.input && n.scalar() && isUnits(n.text) && !strings.ContainsAny(n.text, "./") && strings.Contains(strings.ToLower(p.word("pathPattern")), "{partition}") {
		e.set("partitions", &node{kind: numberNode, text: n.text, src: n.src, span: n.span})
	}
}

// isNamed reports whether a name is given.
func isNamed(n *node) bool { return n.scalar() && n.text != "" && !isPlaceholder(n.text) }

// blobPath takes the path. Azure's outputs make up the names of blobs below it; ours follow from
// the output, so that a name that comes again has the same rows.
func (e *entry) blobPath(p *node) {
	path := p.look("pathPattern")
	text := ""
	if path.scalar() {
		text = strings.Trim(path.text, "/")
	}
	if blob := p.look("blobName"); e.input && blob.scalar() && blob.text != "" {
		text = strings.TrimPrefix(text+"/"+blob.text, "/")
	}
	if !e.input {
		text = strings.TrimPrefix(text+"/{output}-{n}{ext}", "/")
	}
	if text != "" {
		e.settingText("path", text, nil)
	}
	if path != nil && path.open {
		e.settingText("path", path.text, path)
	}
}

// azureBatch takes when a blob of an output is complete. Blobs that Azure appends to
// ("Append") show their rows after a minute; here a blob appears whole, so that it must not be
// open for longer.
func (r *reader) azureBatch(e *entry, a *azureEndpoint) {
	if strings.EqualFold(a.properties.word("blobWriteMode"), "Once") {
		path := e.settings.word("path")
		if lower := strings.ToLower(path); strings.Contains(lower, "{date}") || strings.Contains(lower, "{datetime:") {
			return // when its time is over
		}
	}
	if a.rows.scalar() && !a.rows.open && a.rows.text != "" && a.rows.text != "0" {
		e.set("max_rows", &node{kind: numberNode, text: a.rows.text, src: a.rows.src, span: a.rows.span})
	}
	wait := a.wait
	if !wait.scalar() || wait.text == "" {
		wait = nil
	}
	text := "1m"
	if wait != nil {
		if d, ok := clockDuration(wait.text); ok {
			text = d
		} else {
			r.warn(wait, "write hours, minutes and seconds: 00:01:00", "%s: the time window %s is not known; it is a minute", e.what(), wait.quoted())
		}
	}
	e.settingText("max_age", text, wait)
}

// clockDuration is "hh:mm:ss" as a duration.
func clockDuration(s string) (string, bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return "", false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", false
		}
	}
	d := strings.TrimLeft(parts[0], "0") + "h" + parts[1] + "m" + parts[2] + "s"
	return strings.TrimPrefix(d, "h"), strings.Trim(s, "0:") != ""
}
