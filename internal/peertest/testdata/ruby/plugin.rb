# The requests of fluent-plugin-azureeventhubs 0.0.7, made by the same library in the same
# way: a new connection for each event, headers in that order, a signature for the whole URL.
require "base64"
require "cgi"
require "json"
require "net/http"
require "openssl"
require "time"
require "uri"

world = JSON.parse(ENV["WEIR_PEER"])
args = JSON.parse(ARGV[0])

# Its signature is over the lower-case, encoded address, without api-version and timeout.
def signature(url, name, key)
  target = CGI.escape(url.downcase).gsub("+", "%20").downcase
  expiry = Time.now.to_i + 3600
  mac = OpenSSL::HMAC.digest("sha256", key, "#{target}\n#{expiry}")
  "SharedAccessSignature sr=#{target}&sig=#{CGI.escape(Base64.encode64(mac).strip)}&se=#{expiry}&skn=#{name}"
end

uri = URI.parse("https://localhost:#{world["httpsPort"]}/#{world["hub"]}/messages")
args["records"].each do |record|
  token = signature(uri.to_s, world["keyName"], args["key"] || world["key"])
  http = Net::HTTP.new(uri.host, uri.port)
  http.use_ssl = true # and it verifies: SSL_CERT_FILE names the CA
  http.open_timeout = http.read_timeout = 10
  request = Net::HTTP::Post.new(uri.request_uri, { "Content-Type" => "application/atom+xml;type=entry;charset=utf-8", "Authorization" => token })
  (args["properties"] || {}).each { |k, v| request[k] = v }
  request.body = record.to_json
  response = http.request(request)
  puts({ status: response.code.to_i, body: response.body }.to_json)
end
puts({ done: true }.to_json)
