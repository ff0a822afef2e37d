// Package mqtt takes the telemetry of devices over MQTT 3.1.1 and 5 on the topics of IoT Hub.
package mqtt
