package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/disk"
	hubserve "weir/internal/hub/serve"
)

type hubCertsCmd struct {
	serverFlags `embed:""`
	Data        string   `placeholder:"DIR" help:"The data directory of the service. Default: what the service says (--server), and if none answers $$XDG_STATE_HOME/weir, or ~/.local/state/weir."`
	Host        []string `placeholder:"NAME" help:"Names that the service goes by (weir serve --host), if the CA is made now."`
	PEM         bool     `name:"pem" help:"Write the certificate of the CA, to take it to another machine."`
}

// Help shows examples before the flags.
func (hubCertsCmd) Help() string {
	return `Examples:
  weir hub certs
  weir hub certs --pem > weir-ca.pem

The CA is made when it is needed, here or by weir serve. It is good for localhost, the name of
this machine and the names of --host, and for no other names; its key never leaves the data
directory. With a certificate of your own (weir serve --hub-cert FILE --hub-key FILE) you need
none of this.`
}

// ofService is the CA of the service that answers; "" if none does, or --data says which it is.
func (c *hubCertsCmd) ofService(ctx context.Context) (string, error) {
	if c.Data != "" {
		return "", nil
	}
	api, err := c.client()
	if err != nil {
		return "", err
	}
	var hub struct {
		Enabled bool   `json:"enabled"`
		CA      string `json:"ca"`
	}
	err = api.do(ctx, "GET", apiPath("hub"), nil, &hub)
	switch {
	case exitCodeOf(err) == exitAway:
		return "", nil
	case err != nil:
		return "", err
	case !hub.Enabled:
		return "", usage("the service at %s has no hub; it was started with --no-hub", api.base)
	case hub.CA == "":
		return "", usage("the service at %s has a certificate of its own (--hub-cert), which no development CA has signed", api.base)
	}
	if _, err := os.Stat(hub.CA); err != nil {
		return "", usage("the CA of the service at %s is %s on its machine, and cannot be read here; \"weir hub certs --pem\" there writes it", api.base, hub.CA)
	}
	return hub.CA, nil
}

// ofDirectory is the CA in the data directory. It is made if it is missing.
func (c *hubCertsCmd) ofDirectory() (string, error) {
	home, err := dataHome(c.Data)
	if err != nil {
		return "", err
	}
	dir, err := disk.At(filepath.Join(home, hubDir, certsDir))
	if err != nil {
		return "", usage("--data: %w", err)
	}
	file, err := hubserve.OpenAuthority(hubserve.CertificateOptions{FS: dir, Hosts: c.Host})
	if err != nil {
		return "", fmt.Errorf("the development CA: %w", err)
	}
	return file, nil
}

// trust is how a kind of clients comes to trust the CA.
type trust struct {
	Client  string `json:"client"`
	Command string `json:"command"`
}

// trusts are the commands, with {ca} in place of the file.
var trusts = []trust{
	{"Node.js", `export NODE_EXTRA_CA_CERTS={ca}`},
	{"Python: azure-eventhub", `EventHubProducerClient.from_connection_string(..., connection_verify="{ca}")`},
	{"Python: ssl, requests", `export SSL_CERT_FILE={ca} REQUESTS_CA_BUNDLE={ca}`},
	{"Go", `export SSL_CERT_FILE={ca}`},
	{".NET on Linux, Ruby, Fluentd", `export SSL_CERT_FILE={ca}`},
	{"Java", `keytool -importcert -noprompt -alias weir -file {ca} -keystore weir-trust.p12 -storepass changeit; java -Djavax.net.ssl.trustStore=weir-trust.p12 -Djavax.net.ssl.trustStorePassword=changeit ...`},
	{"kcat, librdkafka", `kcat -X security.protocol=sasl_ssl -X ssl.ca.location={ca} ...`},
	{"mosquitto", `mosquitto_pub --cafile {ca} ...`},
	{"curl", `curl --cacert {ca} ...`},
	{"all programs on Debian", `sudo cp {ca} /usr/local/share/ca-certificates/weir.crt && sudo update-ca-certificates`},
}

// Run shows the CA, and makes it if it is missing.
func (c *hubCertsCmd) Run(ctx context.Context, con *console) error {
	file, err := c.ofService(ctx)
	if err != nil {
		return err
	}
	if file == "" {
		if file, err = c.ofDirectory(); err != nil {
			return err
		}
	}
	if c.PEM {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		_, err = con.out.Write(text)
		return err
	}
	list := make([]trust, len(trusts))
	for i, t := range trusts {
		list[i] = trust{t.Client, strings.ReplaceAll(t.Command, "{ca}", file)}
	}
	if !con.outTTY {
		e := json.NewEncoder(con.out)
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			CA    string  `json:"ca"`
			Trust []trust `json:"trust"`
		}{file, list})
	}
	fmt.Fprintf(con.out, "%s\n", file)
	for _, t := range list {
		fmt.Fprintf(con.out, "\n%s\n  %s\n", t.Client, t.Command)
	}
	return nil
}
