# Builds the Go program, with a cache of its own.
export GOCACHE=$PWD/gocache GOPATH=$PWD/gopath GOFLAGS=-buildvcs=false GOTOOLCHAIN=local GOTELEMETRY=off
cd go && exec go build -o program .
