// Package eventhubs reads and writes event hubs over the network: Azure's, the ones of IoT Hub, Weir's.
package eventhubs
