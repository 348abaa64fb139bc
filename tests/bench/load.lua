-- SPDX-License-Identifier: Apache-2.0
-- One kind of request, as fast as the server answers: wrk ... -s load.lua URL -- METHOD PATH BODY COOKIE RUN [TOKEN]
-- A %N% in path or body becomes a number that no other request of this run carries.
-- Prints one line of JSON at the end.

local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end

function init(args)
	wrk.method = args[1]
	if args[4] ~= "" then
		wrk.headers["Cookie"] = args[4]
	end
	if args[6] and args[6] ~= "" then
		wrk.headers["X-Hadoop-Delegation-Token"] = args[6]
	end
	local path, body = args[2], args[3]
	if body ~= "" then
		wrk.body = body
		wrk.headers["Content-Type"] = "application/json"
	end
	if not (path .. body):find("%%N%%") then
		local fixed = wrk.format(nil, path)
		request = function() return fixed end
		return
	end
	local n = 0
	request = function()
		n = n + 1
		local name = string.format("%s-%d-%d", args[5], number, n)
		return wrk.format(nil, (path:gsub("%%N%%", name)), nil, (body:gsub("%%N%%", name)))
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'{"requests": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "max_us": %.1f, ' ..
		'"errors": %d, "refused": %d}\n',
		summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
		e.connect + e.read + e.write + e.timeout, e.status))
end
