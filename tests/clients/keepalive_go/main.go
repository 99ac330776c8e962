// Keeps two connections of grpc-go to a server open without calling anything: one with a stream of events that
// is quiet, one with nothing on it. Both ask every few seconds whether the connection is alive.
//
//	keepalive ADDRESS PING_EVERY FOR
//
// It prints "kept" where both are open after FOR, else what became of one, and ends with exit code 1.
package main

import (
	"context"
	"fmt"
	"os"
	"time"
	_ "unsafe" // for go:linkname

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// The least that grpc-go lets its users choose is 10 s. The server allows more, so a client in another language may
// do more: without this the test would take twice as long.
//
//go:linkname leastPingTime google.golang.org/grpc/internal.KeepaliveMinPingTime
var leastPingTime time.Duration

// raw carries messages as bytes: an empty request is all that is sent.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error)      { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message any) error { *message.(*[]byte) = data; return nil }
func (raw) Name() string                             { return "proto" }

func main() {
	if len(os.Args) != 4 {
		fail("usage: keepalive ADDRESS PING_EVERY FOR")
	}
	pingEvery, openFor := duration(os.Args[2]), duration(os.Args[3])
	leastPingTime = pingEvery
	ctx, stop := context.WithTimeout(context.Background(), openFor)
	defer stop()
	ended := make(chan string)
	go func() { ended <- "the stream ended: " + watch(ctx, open(os.Args[1], pingEvery)) }()
	go func() { ended <- "the idle channel became " + idle(ctx, open(os.Args[1], pingEvery)) }()
	select {
	case why := <-ended:
		if ctx.Err() == nil {
			fail(why)
		}
	case <-ctx.Done():
	}
	fmt.Println("kept")
}

func open(address string, pingEvery time.Duration) *grpc.ClientConn {
	channel, err := grpc.NewClient(
		address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pingEvery, Timeout: pingEvery, PermitWithoutStream: true,
		}),
	)
	if err != nil {
		fail(err.Error())
	}
	return channel
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
			fail("the idle channel was never connected")
		}
	}
	channel.WaitForStateChange(ctx, connectivity.Ready)
	return channel.GetState().String()
}

func duration(text string) time.Duration {
	parsed, err := time.ParseDuration(text)
	if err != nil {
		fail(err.Error())
	}
	return parsed
}

func fail(why string) {
	fmt.Println(why)
	os.Exit(1)
}
