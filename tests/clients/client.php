<?php
// phpredis: see test_client_libraries.py for what each program does and says.
$port = (int) $argv[1];
set_error_handler(function ($number, $text) { throw new ErrorException($text); });

function say($word) { echo $word, "\n"; }
function must($that, $what) { if (!$that) { throw new Exception($what); } }

function connect() {
    global $port;
    $r = new Redis();
    $r->connect('127.0.0.1', $port, 20.0, null, 0, 30.0);
    $r->setOption(Redis::OPT_MAX_RETRIES, 0); // what breaks is an error here
    must($r->ping(), 'ping');
    return $r;
}

$r = connect();
$other = connect();
must($r->client('setname', 'php') && $r->client('getname') === 'php' && isset($r->info()['redis_version']), 'connect');
$r->del('php:s', 'php:n', 'php:l', 'php:x', 'php:big');
say('connect');

$pipe = $r->pipeline();
$expected = [];
for ($i = 0; $i < 1000; $i++) {
    $pipe->set("php:p:$i", $i)->get("php:p:$i");
    array_push($expected, true, (string) $i);
}
must($pipe->exec() === $expected, 'pipeline');
say('pipeline');

$r->set('php:n', 1);
$r->watch('php:n');
$seen = (int) $r->get('php:n');
must($r->multi()->set('php:n', $seen + 1)->get('php:n')->exec() === [true, '2'], 'transaction');
$r->watch('php:n');
$other->incr('php:n');
must($r->multi()->set('php:n', 99)->exec() === false, 'a changed key was not noticed');
must($r->get('php:n') === '3', 'transaction');
say('transaction');

// its subscribe() does not return before it is left: another process publishes, until somebody hears it
$publish = "for what in 'c one' 'd two'; do until [ $(redis-cli -p $port publish php:\$what) = 1 ]; do :; done; done";
$child = proc_open(['sh', '-c', $publish], [1 => ['file', '/dev/null', 'w']], $pipes);
$got = [];
$subscriber = connect();
$subscriber->setOption(Redis::OPT_READ_TIMEOUT, 30);
try {
    $subscriber->subscribe(['php:c', 'php:d'], function ($r, $channel, $message) use (&$got) {
        $got[] = $message;
        if (count($got) === 2) {
            $r->close(); // the only way out
        }
    });
} catch (RedisException $e) {
    // it read on, and there was nothing
}
must($got === ['one', 'two'] && proc_close($child) === 0, 'pubsub');
say('pubsub');

must($r->rPush('php:l', 'v') === 1 && $other->blPop(['php:l'], 20) === ['php:l', 'v'], 'blocking');
must($r->blPop(['php:none'], 1) === [], 'blocking');
say('blocking');

$script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
$r->script('flush');
must($r->evalSha(sha1($script), ['php:n', 10], 1) === false && strpos($r->getLastError(), 'NOSCRIPT') === 0, 'NOSCRIPT');
must($r->script('load', $script) === sha1($script) && $r->evalSha(sha1($script), ['php:n', 10], 1) === 13, 'script');
say('script');

$ids = [];
for ($i = 0; $i < 3; $i++) {
    $ids[] = $r->xAdd('php:x', '*', ['n' => $i]);
}
must($r->xGroup('CREATE', 'php:x', 'g', '0'), 'group');
$read = $r->xReadGroup('g', 'me', ['php:x' => '>'], 2);
must(array_keys($read['php:x']) === array_slice($ids, 0, 2) && $r->xAck('php:x', 'g', [$ids[0]]) === 1, 'stream');
must($r->xPending('php:x', 'g')[0] === 1, 'pending');
say('stream');

function scan_all($r) {
    $found = [];
    $cursor = null;
    $r->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
    while (($keys = $r->scan($cursor, 'php:p:*', 100)) !== false) {
        foreach ($keys as $key) {
            $found[$key] = true;
        }
    }
    return count($found);
}
must(scan_all($r) === 1000, 'scan');
say('scan');

$big = str_repeat('0123456789abcdef', 1 << 20);
must($r->set('php:big', $big) && $r->get('php:big') === $big && $r->del('php:big') === 1, 'big');
say('big');

// --- across a failover: the same connections go on ---
$ids = [$r->client('id'), $other->client('id')];
$watcher = connect();
$watcher->watch('php:n');
$seen = (int) $watcher->get('php:n');
say('FAILOVER');
fgets(STDIN);
// a read first, which waits for the new master: what a write on its way to the dying one says is another test's
must($r->get('php:n') === (string) $seen && $r->set('php:after', 'v'), 'the first commands');
must([$r->client('id'), $other->client('id')] === $ids, 'connections were made anew');
must($watcher->multi()->set('php:n', $seen + 1)->exec() === false, 'the watch went away with the master, and nobody said so');
must($r->evalSha(sha1($script), ['php:n', 1], 1) === $seen + 1, 'the script');
must($r->multi()->incr('php:n')->get('php:n')->exec() === [$seen + 2, (string) ($seen + 2)], 'transaction');
must(scan_all($r) === 1000, 'scan');
say('failover');
