//go:build pins

package house

import (
	_ "github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	_ "github.com/Azure/go-amqp"
	_ "github.com/coder/websocket"
	_ "github.com/eclipse/paho.mqtt.golang"
	_ "github.com/fluent/fluent-logger-golang/fluent"
	_ "github.com/mochi-mqtt/server/v2"
	_ "github.com/pierrec/lz4/v4"
	_ "github.com/tinylib/msgp/msgp"
	_ "github.com/twmb/franz-go/pkg/kadm"
	_ "github.com/twmb/franz-go/pkg/kgo"
	_ "github.com/twmb/franz-go/pkg/kmsg"
)
