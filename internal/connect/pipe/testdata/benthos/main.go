// Command benthos is the core of Redpanda Connect with the inputs and outputs that need no service,
// for the tests of pipes. Two modules are pinned to versions beside those that it asks for, as the
// module proxy does not have these.
package main

import (
	"context"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

func main() { service.RunCLI(context.Background()) }
