// Keeps two connections open without calling anything: one with a stream of events that is quiet, one with nothing on
// it. Both ask every few seconds whether the connection is alive.

package main

import (
	"context"
	"time"
	_ "unsafe" // for go:linkname

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
)

// The least that grpc-go lets its users choose is 10 s. The server allows more, so a client in another language may
// do more: without this the test would take twice as long.
//
//go:linkname leastPingTime google.golang.org/grpc/internal.KeepaliveMinPingTime
var leastPingTime time.Duration

// keep says what became of a connection that did not stay open for so long; nothing where both did.
func keep(address string, pingEvery, openFor time.Duration) string {
	leastPingTime = pingEvery
	// No deadline: the server would learn of it, and could end the stream a moment before us.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	pings := grpc.WithKeepaliveParams(keepalive.ClientParameters{
		Time: pingEvery, Timeout: pingEvery, PermitWithoutStream: true,
	})
	ended := make(chan string, 2)
	go func() { ended <- "the stream ended: " + watch(ctx, open(address, pings)) }()
	go func() { ended <- "the idle channel became " + idle(ctx, open(address, pings)) }()
	select {
	case why := <-ended:
		return why
	case <-time.After(openFor):
		return ""
	}
}

// watch reads events until there is an error, and returns it.
func watch(ctx context.Context, channel *grpc.ClientConn) string {
	stream, err := channel.NewStream(
		ctx,
		&grpc.StreamDesc{ServerStreams: true},
		"/tollkeeper.v1.AdminService/WatchEvents",
		grpc.ForceCodec(raw{}),
	)
	message := []byte{}
	if err == nil {
		err = stream.SendMsg(&message)
	}
	if err == nil {
		err = stream.CloseSend()
	}
	for err == nil {
		err = stream.RecvMsg(&message)
	}
	return err.Error()
}

// idle connects, and returns what the channel becomes when it is no longer connected.
func idle(ctx context.Context, channel *grpc.ClientConn) string {
	channel.Connect()
	for state := channel.GetState(); state != connectivity.Ready; state = channel.GetState() {
		if !channel.WaitForStateChange(ctx, state) {
			return state.String() + " and was never connected"
		}
	}
	channel.WaitForStateChange(ctx, connectivity.Ready)
	return channel.GetState().String()
}
