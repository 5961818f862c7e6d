-- wrk: posts the file in $BODY with the content type in $TYPE, and prints the figures as JSON.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = os.getenv("TYPE")
file:close()

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '\n{"seconds": %f, "requests": %d, "p50_ms": %f, "p99_ms": %f, "refused": %d, "broken": %d}',
    summary.duration / 1e6, summary.requests, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
