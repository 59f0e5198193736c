/** What has to be done on a device, or typed on a machine, so that a device comes to this server with a new key. */

export interface Recipe {
  id: string;
  name: string;
  /** What it needs, and what was tried. */
  needs: string;
  /** Commands, or the text of a file. */
  text: string;
}

/** Names that can stand in commands and in files as they are. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9.:_-]{0,63}$/;

/** The server as devices reach it. What listens on all addresses, or on this machine, is reached as the page was, from elsewhere. */
export function reachable(uri: string, pageHost: string): string {
  const match = /^coaps:\/\/(\[[^\]]*\]|[^:/]+)(?::(\d+))?/.exec(uri);
  const [, host = '', port = '5684'] = match ?? [];
  const isOwn = ['', '0.0.0.0', '[::]', 'localhost', '[::1]'].includes(host) || host.startsWith('127.');
  const isNear = pageHost === 'localhost' || pageHost === '[::1]' || pageHost.startsWith('127.');
  const seen = isOwn ? (isNear ? '127.0.0.1' : pageHost) : host;
  return `coaps://${seen}:${port}`;
}

export function recipes(name: string, key: string, uri: string): Recipe[] {
  const [, host = '', port = '5684'] = /^coaps:\/\/(\[[^\]]*\]|[^:/]+):(\d+)/.exec(uri) ?? [];
  const bytes = (key.match(/../g) ?? []).map((digits) => `0x${digits}`).join(', ');
  const identity = [...new TextEncoder().encode(name)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [
    {
      id: 'simulated',
      name: 'Simulated',
      needs: 'The program buoy, in an empty folder. The device has a flash in a file and a boot loader; the third and fourth line make the key of your releases and its first firmware.',
      text: `umask 077
printf %s ${key} > ${name}.key
buoy fw keygen release
buoy fw build --release 1.0.0 fw-1.0.bin && buoy fw sign --key release.key.pem fw-1.0.bin
buoy device --endpoint ${name} --server ${uri} --psk-key-file ${name}.key \\
    --flash ${name}.flash --trust release.pub.pem --factory fw-1.0.bin`,
    },
    {
      id: 'linux',
      name: 'Linux',
      needs: "Anjay's demo program, or Wakaama's example client with tinydtls. Your own program gets the same URI, identity and key.",
      text: `# Anjay
./demo --endpoint-name ${name} --server-uri ${uri} --security-mode psk \\
    --identity ${identity} --key ${key}

# Wakaama
./lwm2mclient_tinydtls -4 -n ${name} -h ${host} -p ${port} -t 300 -i ${name} -s ${key}`,
    },
    {
      id: 'esp32',
      name: 'ESP32',
      needs: 'ESP-IDF with Wakaama compiled into the application. The project did not try this on a chip; the values are those that the security object needs.',
      text: `/* sdkconfig: CONFIG_MBEDTLS_PSK_MODES=y, CONFIG_MBEDTLS_KEY_EXCHANGE_PSK=y, CONFIG_MBEDTLS_CCM_C=y, CONFIG_MBEDTLS_SSL_PROTO_DTLS=y */
static const char endpoint[] = "${name}";
/* Security object, instance 0: mode 0 (pre-shared key) */
static const char server_uri[] = "${uri}";
static const char identity[] = "${name}";
static const unsigned char key[] = { ${bytes} };`,
    },
    {
      id: 'zephyr',
      name: 'Zephyr',
      needs: 'The sample samples/net/lwm2m_client. Save the first lines as buoy.conf. The project did not try it; the names are those of its Kconfig.',
      text: `CONFIG_NET_SAMPLE_LWM2M_ID="${name}"
CONFIG_NET_SAMPLE_LWM2M_SERVER="${uri}"
CONFIG_NET_SAMPLE_LWM2M_PSK="${key}"
CONFIG_LWM2M_DTLS_CID=y

# west build -b BOARD samples/net/lwm2m_client -- -DEXTRA_CONF_FILE="overlay-dtls.conf;$PWD/buoy.conf"`,
    },
  ];
}
