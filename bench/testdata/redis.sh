# Runs a server and its benchmark, on a socket here.
rm -f redis.socket
redis-server --port 0 --unixsocket redis.socket --save '' --appendonly no --dir . > redis.log 2>&1 &
server=$!
until [ "$(redis-cli -s redis.socket ping 2> /dev/null)" = PONG ]; do
	kill -0 $server || { cat redis.log; exit 1; }
	sleep 0.02
done
redis-benchmark -s redis.socket -n 100000 -c 20 -t set -d 200 -q | tr '\r' '\n' | tail -n 2
redis-cli -s redis.socket shutdown nosave
wait $server
