# redis-rb: see test_client_libraries.py for what each program does and says.
require "redis"

PORT = ARGV[0].to_i
$stdout.sync = true
Thread.report_on_exception = false

def connect
  r = Redis.new(port: PORT, reconnect_attempts: 0, timeout: 30) # what breaks is an error here
  r.ping
  r
end

def must(that, what)
  raise what unless that
end

r, other = connect, connect
r.call("CLIENT", "SETNAME", "ruby")
must r.call("CLIENT", "GETNAME") == "ruby" && r.info["redis_version"], "connect"
r.del("rb:s", "rb:n", "rb:l", "rb:x", "rb:big")
puts "connect"

replies = r.pipelined { |p| 1000.times { |i| p.set("rb:p:#{i}", i); p.get("rb:p:#{i}") } }
must replies == (0...1000).flat_map { |i| ["OK", i.to_s] }, "pipeline"
puts "pipeline"

r.set("rb:n", 1)
done = r.watch("rb:n") do
  seen = r.get("rb:n").to_i
  r.multi { |t| t.set("rb:n", seen + 1); t.get("rb:n") }
end
must done == %w[OK 2], "transaction"
done = r.watch("rb:n") do
  other.incr("rb:n")
  r.multi { |t| t.set("rb:n", 99) }
end
must done.nil? && r.get("rb:n") == "3", "a changed key was not noticed"
puts "transaction"

got, ready = Queue.new, Queue.new
subscriber = Thread.new do
  connect.subscribe("rb:c", "rb:d") do |on|
    on.subscribe { |channel, _| ready << channel }
    on.message { |_, message| got << message }
  end
end
2.times { ready.pop }
must r.publish("rb:c", "one") == 1 && r.publish("rb:d", "two") == 1, "publish"
must [got.pop, got.pop] == %w[one two], "pubsub"
puts "pubsub"

popper = Thread.new { connect.blpop("rb:l", timeout: 20) }
r.rpush("rb:l", "v")
must popper.value == ["rb:l", "v"] && r.blpop("rb:none", timeout: 1).nil?, "blocking"
puts "blocking"

SCRIPT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
r.script(:flush)
begin
  r.evalsha("0" * 40, ["rb:n"], [1])
  raise "NOSCRIPT was not said"
rescue Redis::CommandError => e
  must e.message.start_with?("NOSCRIPT"), e.message
end
sha = r.script(:load, SCRIPT)
must r.evalsha(sha, ["rb:n"], [10]) == 13, "script"
puts "script"

ids = (0...3).map { |i| r.xadd("rb:x", { "n" => i }) }
r.xgroup(:create, "rb:x", "g", "0")
entries = r.xreadgroup("g", "me", "rb:x", ">", count: 2)["rb:x"]
must entries.map(&:first) == ids.first(2) && r.xack("rb:x", "g", ids[0]) == 1, "stream"
must r.xpending("rb:x", "g")["size"] == 1, "pending"
puts "stream"

must r.scan_each(match: "rb:p:*", count: 100).to_a.uniq.size == 1000, "scan"
puts "scan"

big = "0123456789abcdef" * (1 << 20)
must r.set("rb:big", big) == "OK" && r.get("rb:big") == big && r.del("rb:big") == 1, "big"
puts "big"

# --- across a failover: the same connections go on ---
before = [r, other].map { |c| c.call("CLIENT", "ID") }
watcher = connect
watcher.watch("rb:n")
seen = watcher.get("rb:n").to_i
puts "FAILOVER"
$stdin.gets
# a read first, which waits for the new master: what a write on its way to the dying one says is another test's
must r.get("rb:n") == seen.to_s && r.set("rb:after", "v") == "OK", "the first commands"
must [r, other].map { |c| c.call("CLIENT", "ID") } == before, "connections were made anew"
must watcher.multi { |t| t.set("rb:n", seen + 1) }.nil?, "the watch went away with the master, and nobody said so"
must r.evalsha(sha, ["rb:n"], [1]) == seen + 1, "the script"
# the subscription comes to the new master on its own
ended = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
while r.publish("rb:c", "three").zero?
  must Process.clock_gettime(Process::CLOCK_MONOTONIC) < ended, "the subscription"
end
must got.pop == "three", "the subscription"
must r.multi { |t| t.incr("rb:n"); t.get("rb:n") } == [seen + 2, (seen + 2).to_s], "transaction"
must r.scan_each(match: "rb:p:*", count: 100).to_a.uniq.size == 1000, "scan"
puts "failover"
exit!(0)
