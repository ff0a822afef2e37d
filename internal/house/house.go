// Package house holds tests of the code base itself: who may import whom and why, what
// must be documented, and what no committed text may say. The tables are here; the tests
// beside them read the tree.
package house

// Layer says what the files of a package, tests apart, may import of ours and why not
// more.
type Layer struct {
	May []string
	Why string
	// Pure packages run inside any runner: they do the same for the same input.
	Pure bool
}

// Layers has every package of the project, by its directory.
var Layers = map[string]Layer{
	"internal/vec":            {Pure: true, Why: "rows are the ground that all else stands on"},
	"internal/diag":           {Why: "messages know nothing of what they are about"},
	"internal/state":          {Pure: true, Why: "the format of snapshots must not depend on who writes them"},
	"internal/saql":           {Pure: true, May: []string{"diag"}, Why: "the parser is used by editors and tools that have no engine"},
	"internal/window":         {Pure: true, May: []string{"vec"}, Why: "windows are rules about time, not about rows or groups"},
	"internal/geo":            {Pure: true, May: []string{"vec"}, Why: "geometry knows values and nothing of functions or rows"},
	"internal/fn":             {Pure: true, May: []string{"vec", "state", "geo"}, Why: "a function is one declaration that reads nothing of the engine"},
	"internal/plan":           {Pure: true, May: []string{"saql", "diag", "fn", "window", "vec"}, Why: "a plan is data: it must not know who runs it"},
	"internal/exec":           {Pure: true, May: []string{"plan", "fn", "geo", "window", "state", "vec", "diag"}, Why: "stages run under any runner; of diag they use the places of query errors"},
	"internal/udf":            {May: []string{"vec", "state", "fn"}, Why: "a user function is a function: it reads nothing of the engine"},
	"internal/codec":          {May: []string{"vec", "codec/jsonline", "codec/avro", "codec/parquet", "codec/protobuf", "codec/shape"}, Why: "formats know rows and nothing of queries"},
	"internal/codec/shape":    {May: []string{"vec"}, Why: "schemas of files are made of kinds"},
	"internal/codec/jsonline": {May: []string{"vec"}, Why: "texts of numbers and times, for the binary formats"},
	"internal/codec/avro":     {May: []string{"vec", "codec/jsonline", "codec/shape"}, Why: "a format knows values and nothing of the decoders that read its lines"},
	"internal/codec/parquet":  {May: []string{"vec", "codec/jsonline", "codec/shape"}, Why: "a format knows values and nothing of the decoders that read its lines"},
	"internal/codec/protobuf": {May: []string{"vec", "codec/jsonline"}, Why: "a format knows values and nothing of the decoders that read its lines"},
	"internal/disk":           {Why: "what must survive a crash goes through it, and it knows nothing of what that is"},
	"internal/connect":        {May: []string{"vec", "codec", "disk"}, Why: "sources and sinks know rows and bytes, and nothing of queries"},
	"internal/connect/all": {May: []string{"connect/file", "connect/blob", "connect/sql", "connect/table", "connect/http", "connect/hub",
		"connect/eventhubs", "connect/kafka", "connect/azureblob", "connect/s3", "connect/cosmos", "connect/mqtt", "connect/redis", "connect/servicebus", "connect/pipe"},
		Why: "the one list of connectors that a program links"},
	"internal/connect/connecttest": {May: []string{"connect", "vec", "codec", "disk"},
		Why: "the judge of connectors knows the contract and none of them"},
	"internal/connect/text":       {May: []string{"connect", "codec", "disk"}, Why: "how a text is cut does not depend on where it lies"},
	"internal/connect/file":       {May: []string{"connect", "connect/objects", "connect/text", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract; versions of reference data are objects too"},
	"internal/connect/files":      {May: []string{"connect", "connect/objects", "vec", "codec", "disk"}, Why: "what outputs of files share knows no service"},
	"internal/connect/blob":       {May: []string{"connect", "connect/files"}, Why: "a connector knows its service and the contract"},
	"internal/connect/sql":        {May: []string{"connect", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/table":      {May: []string{"connect", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/http":       {May: []string{"connect", "connect/intake", "vec", "codec", "disk"}, Why: "what is pushed at us lands in the log first"},
	"internal/connect/message":    {May: []string{"connect", "vec", "codec", "codec/jsonline", "disk"}, Why: "what services of messages share knows none of them"},
	"internal/connect/objects":    {May: []string{"connect", "connect/text", "vec", "codec", "disk"}, Why: "what stores of objects share knows none of them"},
	"internal/connect/intake":     {May: []string{"connect", "connect/message", "vec", "codec", "disk", "hub/log"}, Why: "what is pushed at us lands in the log first"},
	"internal/connect/namespace":  {May: []string{"connect", "hub/sas"}, Why: "how a namespace is reached is the same for Event Hubs and Service Bus"},
	"internal/connect/eventhubs":  {May: []string{"connect", "connect/message", "connect/namespace", "vec", "codec", "disk", "hub"}, Why: "a connector knows its service and the contract; the hash of partition keys is the broker's"},
	"internal/connect/kafka":      {May: []string{"connect", "connect/message", "vec", "codec", "disk", "hub/sas"}, Why: "a connector knows its service and the contract; connection strings are read in one place"},
	"internal/connect/azureblob":  {May: []string{"connect", "connect/objects", "connect/files", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/s3":         {May: []string{"connect", "connect/objects", "connect/files", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/cosmos":     {May: []string{"connect", "connect/message", "connect/intake", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/mqtt":       {May: []string{"connect", "connect/message", "connect/intake", "vec", "codec", "disk", "hub/log"}, Why: "a connector knows its service and the contract"},
	"internal/connect/redis":      {May: []string{"connect", "connect/message", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/servicebus": {May: []string{"connect", "connect/message", "connect/namespace", "vec", "codec", "disk"}, Why: "a connector knows its service and the contract"},
	"internal/connect/pipe":       {May: []string{"connect", "connect/message", "connect/intake", "vec", "codec", "disk", "hub/log"}, Why: "a connector knows its service and the contract"},
	"internal/hub/log":            {May: []string{"disk"}, Why: "the log is a broker's and could be its own product"},
	"internal/hub":                {May: []string{"disk", "hub/log", "hub/sas"}, Why: "a broker knows nothing of the engine and of the protocols over it"},
	"internal/hub/sas":            {Why: "signatures are a rule about texts"},
	"internal/hub/amqp":           {Why: "the protocol knows nothing of what is behind an address"},
	"internal/hub/eventhubs":      {May: []string{"disk", "hub", "hub/log", "hub/sas", "hub/amqp"}, Why: "a protocol is a face of the broker; of disk it knows the error of a full one"},
	"internal/hub/rest":           {May: []string{"hub", "hub/log", "hub/sas", "hub/amqp"}, Why: "a protocol is a face of the broker"},
	"internal/hub/kafka":          {May: []string{"hub", "hub/log", "hub/sas", "hub/amqp"}, Why: "a protocol is a face of the broker"},
	"internal/hub/mqtt":           {May: []string{"hub", "hub/log", "hub/sas", "hub/amqp"}, Why: "a protocol is a face of the broker"},
	"internal/hub/fluent":         {May: []string{"hub", "hub/log", "hub/sas", "hub/amqp"}, Why: "a protocol is a face of the broker"},
	"internal/hub/serve": {May: []string{"disk", "hub", "hub/log", "hub/sas", "hub/amqp", "hub/eventhubs", "hub/rest", "hub/kafka", "hub/mqtt", "hub/fluent"},
		Why: "it opens the ports and puts the protocols behind them"},
	"internal/connect/hub": {May: []string{"connect", "connect/message", "vec", "codec", "disk", "hub", "hub/log", "hub/amqp"}, Why: "jobs read and write the broker in the same process"},
	"internal/peertest":    {Why: "clients that others wrote see the program from outside"},
	"internal/project":     {May: []string{"connect", "plan", "saql", "diag", "fn", "vec"}, Why: "a job is data: it is read and checked, and opened by others; connectors are known by what they declare; of fn it knows the places of script errors, of vec the unit of time"},
	"bench/lossy":          {Why: "a judge of durability knows nothing of what it judges; its module is its own, for the sake of its FUSE library"},
	"bench/hub":            {Why: "it measures the program from outside, with clients that others wrote"},
	"bench/jetstream":      {May: []string{"disk", "hub/log"}, Why: "it measures the log alone, beside another; its module is its own, for the sake of the NATS server"},
	"internal/crashtest":   {Why: "it sees the program from outside, as a user's data does"},
	"internal/suite": {May: []string{"project", "connect", "plan", "saql", "diag", "vec", "exec", "codec", "job", "udf", "caserun", "testkit"},
		Why: "tests of a job run it through the whole engine, and nothing of the command line"},
	"internal/service": {May: []string{"project", "connect", "connect/all", "connect/table", "connect/hub", "hub", "plan", "saql", "diag", "vec", "fn", "window", "disk", "codec", "exec", "job", "udf", "caserun"},
		Why: "it makes running jobs of written ones, for the command line and the pages alike"},
	"internal/service/servicetest": {May: []string{"connect", "codec", "vec"}, Why: "connectors of tests know what connectors know"},
	"internal/web":                 {May: []string{"service", "hub", "hub/log", "hub/sas", "hub/amqp", "job", "project", "connect", "plan", "saql", "diag", "vec"}, Why: "pages and programs see jobs through the service"},
	"internal/job":                 {May: []string{"plan", "exec", "codec", "connect", "disk", "state", "vec", "diag"}, Why: "the runner drives the engine; it is not driven by verbs or pages"},
	"internal/caserun": {May: []string{"vec", "diag", "saql", "plan", "exec", "codec", "job", "testkit", "udf"},
		Why: "it joins the judge and the engine, and nothing of the command line"},
	"internal/twin":     {May: []string{"saql"}, Why: "the slow twin of the engine must not share its mistakes: only the parser is common"},
	"internal/generate": {Why: "a maker of data must not share the mistakes of what it tests"},
	"internal/testkit":  {Why: "the judge of the engine must not use its comparisons"},
	"internal/house":    {Why: "it reads the tree, not the code"},
	"cmd/weir": {May: []string{"vec", "diag", "state", "saql", "window", "fn", "plan", "exec", "codec", "codec/parquet", "job", "generate", "testkit", "caserun", "udf",
		"disk", "connect", "connect/all", "connect/table", "connect/http", "connect/hub", "connect/pipe", "hub", "hub/log", "hub/sas", "hub/amqp", "hub/serve", "project", "suite", "service", "web"},
		Why: "the command puts all together"},
}

// Banned are the imports that pure packages must not have, each with its reason.
var Banned = map[string]string{
	"context":      "nothing in a stage waits, so nothing can be cancelled",
	"net":          "a stage gets rows; sources read networks",
	"net/http":     "a stage gets rows; sources read networks",
	"os":           "a stage touches no file and no variable of the process",
	"sync":         "one goroutine drives a stage",
	"sync/atomic":  "one goroutine drives a stage",
	"math/rand":    "the same input must give the same rows",
	"math/rand/v2": "the same input must give the same rows",
	"crypto/rand":  "the same input must give the same rows",
	"time":         "time is an argument: the clock is outside",
	"os/exec":      "a stage touches no file and no variable of the process",
}

// Excepted are uses of banned imports that are allowed, by package and import.
var Excepted = map[[2]string]string{
	{"internal/plan", "time"}: "durations of settings have the type time.Duration",
}
