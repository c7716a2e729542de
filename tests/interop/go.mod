module livepeer-edge/interop

go 1.25

require github.com/livepeer/go-livepeer v0.9.1
