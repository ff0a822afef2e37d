package project

import (
	"slices"
	"strings"
	"unicode"

	"weir/internal/connect"
	"weir/internal/plan"
)

// azureKind is a kind of input or output of an Azure job (jobmodel.md 4, 6 to 8), and what can
// take its place.
type azureKind struct {
	name string // for people
	// types are the names in ARM, and projects those in projects, as folded gives them.
	types    []string
	projects []string
	// properties is the key of a project file below which its settings are.
	properties []string
	// where names the thing by its settings: "eventHubName in serviceBusNamespace".
	where []string
	// secret is the setting that exports leave out.
	secret string
	// connect maps an output to a connector, source an input and reference reference data; nil
	// if none talks to it.
	connect, source, reference func(r *reader, e *entry, p *node)
	// instead are connectors that a user may take in its place, the best first.
	input, output []string
}

// azureKinds are the kinds. The names of connectors in here are advice: one that this program
// does not have is not named to users.
var azureKinds = []azureKind{
	{name: "Event Hub", types: []string{"microsoftservicebuseventhub", "microsofteventhubeventhub"}, projects: []string{"eventhub", "eventhubs"},
		properties: []string{"EventHubProperties"}, where: []string{"eventHubName", "serviceBusNamespace"}, secret: "SharedAccessPolicyKey",
		connect: connectHub, source: connectHub, input: []string{"hub", "eventhub", "kafka", "http", "file"}, output: []string{"hub", "eventhub", "kafka", "http", "blob", "file"}},
	{name: "IoT Hub", types: []string{"microsoftdevicesiothubs"}, projects: []string{"iothub"},
		properties: []string{"IoTHubProperties"}, where: []string{"iotHubNamespace"}, secret: "SharedAccessPolicyKey", source: connectHub, input: []string{"hub", "iothub", "http", "file"}},
	{name: "Blob Storage", types: []string{"microsoftstorageblob"}, projects: []string{"blobstorage", "blob", "azuredatalakestoragegen2", "blobstorageadlsgen2"},
		properties: []string{"BlobStorageProperties", "BlobReferenceProperties"}, where: []string{"container", "storageAccounts"}, secret: "AccountKey",
		connect: connectBlob, source: connectBlob, reference: connectBlobReference, input: []string{"file", "azure-blob", "s3"}, output: []string{"blob", "azure-blob", "s3", "file"}},
	{name: "SQL Database", types: []string{"microsoftsqlserverdatabase"}, projects: []string{"sqldatabase", "azuresqldatabase"},
		properties: []string{"SQLDatabaseProperties", "SqlReferenceInputInfo", "AzureSqlDatabaseProperties"}, where: []string{"table", "database", "server"}, secret: "Password",
		connect: connectSQLServer, reference: connectSQLReference, input: []string{"sqlserver", "postgres", "sqlite", "file"}, output: []string{"sqlserver", "sqlite"}},
	{name: "Synapse Analytics", types: []string{"microsoftsqlserverdatawarehouse"}, projects: []string{"azuresynapseanalytics", "sqldatawarehouse", "azuresqldatawarehouse"},
		properties: []string{"AzureSynapseProperties", "SQLDataWarehouseProperties"}, where: []string{"table", "database", "server"}, secret: "Password", output: []string{"sqlserver", "sqlite"}},
	{name: "PostgreSQL", types: []string{"microsoftdbforpostgresqlserversdatabases"}, projects: []string{"postgresql", "azuredatabaseforpostgresql"},
		properties: []string{"PostgreSQLProperties"}, where: []string{"table", "database", "server"}, secret: "Password", connect: connectPostgres, output: []string{"postgres", "sqlite"}},
	{name: "Cosmos DB", types: []string{"microsoftstoragedocumentdb"}, projects: []string{"documentdb", "cosmosdb"},
		properties: []string{"DocumentDbProperties", "CosmosDbProperties"}, where: []string{"collectionNamePattern", "database", "accountId"}, secret: "AccountKey",
		connect: connectCosmos, input: []string{"cosmos", "table"}, output: []string{"cosmos", "table", "blob"}},
	{name: "Table Storage", types: []string{"microsoftstoragetable"}, projects: []string{"tablestorage", "azuretable"},
		properties: []string{"TableStorageProperties"}, where: []string{"table", "accountName"}, secret: "AccountKey", output: []string{"table", "blob"}},
	{name: "Service Bus queue", types: []string{"microsoftservicebusqueue"}, projects: []string{"servicebusqueue"},
		properties: []string{"ServiceBusQueueProperties"}, where: []string{"queueName", "serviceBusNamespace"}, secret: "SharedAccessPolicyKey", connect: connectServiceBus, output: []string{"servicebus", "http", "blob"}},
	{name: "Service Bus topic", types: []string{"microsoftservicebustopic"}, projects: []string{"servicebustopic"},
		properties: []string{"ServiceBusTopicProperties"}, where: []string{"topicName", "serviceBusNamespace"}, secret: "SharedAccessPolicyKey", connect: connectServiceBus, output: []string{"servicebus", "http", "blob"}},
	{name: "Azure Function", types: []string{"microsoftazurefunction"}, projects: []string{"azurefunction", "azurefunctions"},
		properties: []string{"AzureFunctionProperties"}, where: []string{"functionName", "functionAppName"}, secret: "ApiKey", connect: connectFunction, output: []string{"http"}},
	{name: "Power BI", types: []string{"powerbi"}, projects: []string{"powerbi"},
		properties: []string{"PowerBIProperties", "PowellBIProperties"}, where: []string{"table", "dataset"}, output: []string{"powerbi", "http", "blob"}},
	{name: "Data Explorer", types: []string{"microsoftkustoclustersdatabases"}, projects: []string{"dataexplorer", "azuredataexplorer", "kusto"},
		properties: []string{"AzureDataExplorerProperties", "KustoProperties"}, where: []string{"table", "database", "cluster"}, output: []string{"postgres", "blob"}},
	{name: "Data Lake Store", types: []string{"microsoftdatalakeaccounts"}, projects: []string{"datalakestore", "azuredatalakestore", "datalakestoragegen1"},
		properties: []string{"AzureDataLakeStoreProperties"}, where: []string{"accountName"}, output: []string{"blob"}},
	{name: "Event Grid", types: []string{"microsofteventgrideventsubscriptions"}, projects: []string{"eventgrid"}, input: []string{"http", "file"}},
	{name: "edge bus", types: []string{"gatewaymessagebus"}, projects: []string{"edgehub", "gatewaymessagebus"}, where: []string{"topic"}, input: []string{"mqtt", "http", "file"}, output: []string{"mqtt", "http", "blob"}},
	{name: "raw data", types: []string{"raw"}, projects: []string{"raw"}, input: []string{"file"}, output: []string{"blob"}},
	{name: "file", types: []string{"file"}, projects: []string{"file", "localinput"}, where: []string{"path"}, input: []string{"file"}, output: []string{"file"}},
}

// folded is a name without case, blanks and signs: Azure's files write "Event Hub", "EventHub"
// and "Microsoft.ServiceBus/EventHub" in any case.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// kindOfAzure finds the kind of a type name; nil if it is not known.
func kindOfAzure(name string) *azureKind {
	f := folded(name)
	for i := range azureKinds {
		k := &azureKinds[i]
		if slices.Contains(k.types, f) || slices.Contains(k.projects, f) {
			return k
		}
	}
	return nil
}

// kindByProperties finds the kind of a project's file by the one properties that are not null,
// and these properties.
func kindByProperties(root *node) (*azureKind, *node) {
	for i := range azureKinds {
		if p := root.look(azureKinds[i].properties...); p != nil && p.kind == objectNode {
			return &azureKinds[i], p
		}
	}
	return nil, nil
}

// connectSQLServer maps to the connector for SQL Server: it is the same server.
func connectSQLServer(r *reader, e *entry, p *node) {
	r.connectDatabase(e, p, "sqlserver", ".database.windows.net")
}

// connectPostgres maps to the connector for PostgreSQL.
func connectPostgres(r *reader, e *entry, p *node) {
	r.connectDatabase(e, p, "postgres", ".postgres.database.azure.com")
}

// connectFunction maps to posts at the function's own address: JSON arrays, the key in a header,
// as the original sends them (jobmodel.md 8).
func connectFunction(_ *reader, e *entry, p *node) {
	if _, ok := connect.Find("http"); !ok {
		return // this program is built without it
	}
	app, name := p.look("functionAppName"), p.look("functionName")
	if !app.scalar() || !name.scalar() || isPlaceholder(app.text) || isPlaceholder(name.text) {
		return
	}
	e.settingText("type", "http", nil)
	e.settingText("url", "https://"+app.text+".azurewebsites.net/api/"+name.text, app)
	if name.open {
		e.settings.get("url").open = true
	}
	key := p.look("apiKey")
	if !key.scalar() {
		key = &node{kind: textNode, open: true, src: e.src, span: e.span}
	}
	e.settingText("api_key", key.text, key)
	for setting, of := range map[string]string{"batch_rows": "maxBatchCount", "batch_bytes": "maxBatchSize"} {
		if v := p.look(of); v.scalar() && isUnits(v.text) && !strings.Contains(v.text, "/") {
			e.set(setting, &node{kind: numberNode, text: v.text, src: v.src, span: v.span})
		}
	}
}

// connectDatabase takes server, database, user, password and table. A short server name gets
// the domain that the service has.
func (r *reader) connectDatabase(e *entry, p *node, kind, domain string) {
	if _, ok := connect.Find(kind); !ok {
		return // this program is built without it
	}
	e.settingText("type", kind, nil)
	if s := p.look("server"); s.scalar() {
		host, port, hasPort := strings.Cut(strings.TrimPrefix(s.text, "tcp:"), ",")
		if !s.open && !strings.Contains(host, ".") && !strings.EqualFold(host, "localhost") {
			host += domain
		}
		e.settingText("host", host, s)
		if hasPort {
			e.set("port", &node{kind: numberNode, text: port, src: s.src, span: s.span})
		}
	}
	for _, name := range []string{"database", "user", "password", "table"} {
		v := p.look(name)
		if !v.scalar() {
			v = &node{kind: textNode, open: true, src: e.src, span: e.span} // an export left it out
		}
		e.settingText(name, v.text, v)
	}
	if s, t := p.look("schema"), p.look("table"); s.scalar() && s.text != "" && t.scalar() {
		e.settingText("table", s.text+"."+t.text, t)
	}
	for _, m := range e.settings.members {
		if t := p.look(or(map[string]string{"host": "server"}[m.name], m.name)); t.scalar() && isPlaceholder(t.text) {
			m.value.open = true
		}
	}
}

// connectHub maps to the hub of the same name that this process has, which is made if it is not
// there: an overlay says if another one is meant (jobmodel.md 11). The hub of an IoT Hub has
// the name of the IoT Hub.
func connectHub(_ *reader, e *entry, p *node) {
	if _, ok := connect.Find("hub"); !ok {
		return // this program is built without it
	}
	name := p.look("eventHubName", "iotHubNamespace")
	if !name.scalar() || isPlaceholder(name.text) || name.text == "" {
		return
	}
	e.settingText("type", "hub", nil)
	e.settingText("hub", name.text, name)
	e.set("create", &node{kind: boolNode, text: "true", src: e.src, span: e.span})
	if n := p.look("partitionCount"); n.scalar() && isUnits(n.text) && n.text != "0" && !strings.ContainsAny(n.text, "./") {
		e.set("partitions", &node{kind: numberNode, text: n.text, src: n.src, span: n.span})
	}
	if e.input {
		if g := p.look("consumerGroupName"); g.scalar() && g.text != "" && !isPlaceholder(g.text) {
			e.settingText("consumer_group", g.text, g)
		}
		return
	}
	if k := p.look("partitionKey"); k.scalar() && k.text != "" {
		e.settingText("partition_key", k.text, k)
	}
	if list := p.look("propertyColumns"); list != nil && list.kind == listNode && len(list.items) > 0 {
		e.set("property_columns", list)
	}
}

// connectServiceBus maps to the queue or topic of the same name.
func connectServiceBus(_ *reader, e *entry, p *node) {
	if _, ok := connect.Find("servicebus"); !ok {
		return // this program is built without it
	}
	open := func(v *node) *node {
		if v.scalar() && v.text != "" && !isPlaceholder(v.text) {
			return v
		}
		return &node{kind: textNode, open: true, src: e.src, span: e.span} // an export left it out
	}
	set := func(setting, of string) {
		v := open(p.look(of))
		e.settingText(setting, v.text, v)
	}
	e.settingText("type", "servicebus", nil)
	set("namespace", "serviceBusNamespace")
	if strings.EqualFold(p.word("authenticationMode"), "Msi") {
		e.settingText("sign_in", "entra", nil)
	} else {
		set("key_name", "sharedAccessPolicyName")
		set("key", "sharedAccessPolicyKey")
	}
	if p.look("topicName").scalar() {
		set("topic", "topicName")
	} else {
		set("queue", "queueName")
	}
	if list := p.look("propertyColumns"); list != nil && list.kind == listNode && len(list.items) > 0 {
		e.set("property_columns", list)
	}
	if m := p.look("systemPropertyColumns"); m != nil && m.kind == objectNode && len(m.members) > 0 {
		e.set("system_property_columns", m)
	}
}

// connectCosmos maps to the container of the same name. A pattern that names several is not mapped.
func connectCosmos(_ *reader, e *entry, p *node) {
	if _, ok := connect.Find("cosmos"); !ok {
		return // this program is built without it
	}
	container := p.look("collectionNamePattern")
	if container.scalar() && strings.Contains(container.text, "{") {
		return
	}
	open := func(v *node) *node {
		if v.scalar() && v.text != "" && !isPlaceholder(v.text) {
			return v
		}
		return &node{kind: textNode, open: true, src: e.src, span: e.span} // an export left it out
	}
	e.settingText("type", "cosmos", nil)
	account := open(p.look("accountId"))
	if strings.Contains(account.text, ".") {
		e.settingText("endpoint", "https://"+strings.TrimPrefix(account.text, "https://"), account)
	} else {
		e.settingText("account", account.text, account)
	}
	if strings.EqualFold(p.word("authenticationMode"), "Msi") {
		e.settingText("sign_in", "entra", nil)
	} else {
		key := open(p.look("accountKey"))
		e.settingText("key", key.text, key)
	}
	for setting, v := range map[string]*node{"database": p.look("database"), "container": container} {
		v = open(v)
		e.settingText(setting, v.text, v)
	}
	for setting, of := range map[string]string{"document_id": "documentId", "partition_key": "partitionKey"} {
		if v := p.look(of); v.scalar() && v.text != "" && !isPlaceholder(v.text) {
			e.settingText(setting, v.text, v)
		}
	}
}

// mergeCosmos has documents merged by jobs below level 1.2, as the original does it
// (jobmodel.md 7).
func mergeCosmos(e *entry, level plan.Level) {
	s := e.settings
	if level == plan.Level12 || e.azure != "Cosmos DB" || s.word("type") != "cosmos" || s.get("document_id") == nil || s.get("mode") != nil {
		return
	}
	e.settingText("mode", "merge", nil)
}

// isPlaceholder tells a text that somebody was to replace: <server>.
func isPlaceholder(s string) bool { return strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") }
