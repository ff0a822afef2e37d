// azure-iot-device over MQTT, the official client of IoT Hub's devices.
import device from "azure-iot-device";
import transport from "azure-iot-device-mqtt";
import { world, say, run, body } from "./world.mjs";

await run({
  async send(a) {
    const t = a.websocket ? transport.MqttWs : transport.Mqtt;
    const client = device.Client.fromConnectionString(a.connection, t);
    client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => -1 });
    await client.setOptions({ ca: world.ca });
    await client.open();
    say({ open: true });
    for (const e of a.events) {
      const m = new device.Message(body(e));
      for (const [k, v] of Object.entries(e.properties ?? {})) m.properties.add(k, v);
      if (e.messageId) m.messageId = e.messageId;
      if (e.contentType) m.contentType = e.contentType;
      if (e.encoding) m.contentEncoding = e.encoding;
      await client.sendEvent(m);
    }
    await client.close();
  },
});
