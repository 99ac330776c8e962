// Calls without a pause, as many callers at once as it is told, until there is no server any more.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const channels = 4

// callOn prints "calling" once every caller was answered, and in the end how often each code was, as JSON. Whoever is
// told that the server is shutting down repeats at once; whoever is told anything else but OK ends.
func callOn(address string, callers int, method string, request []byte) {
	var answered, ended sync.WaitGroup
	answered.Add(callers)
	ended.Add(callers)
	count := make(chan string)
	opened := make([]*grpc.ClientConn, channels)
	for n := range opened {
		opened[n] = open(address)
	}
	for n := range callers {
		channel := opened[n%channels]
		go func() {
			defer ended.Done()
			first := sync.OnceFunc(answered.Done)
			for {
				answer := []byte{}
				err := channel.Invoke(
					context.Background(), method, &request, &answer, grpc.ForceCodec(raw{}),
				)
				first()
				shuttingDown := strings.Contains(status.Convert(err).Message(), "shutting down")
				name := status.Code(err).String()
				if shuttingDown {
					name = "SHUTTING_DOWN"
				}
				count <- name
				if status.Code(err) != codes.OK && !shuttingDown {
					return
				}
			}
		}()
	}
	go func() { answered.Wait(); fmt.Println("calling") }()
	go func() { ended.Wait(); close(count) }()
	counts := map[string]int{}
	for name := range count {
		counts[name]++
	}
	if err := json.NewEncoder(os.Stdout).Encode(counts); err != nil {
		fail(err.Error())
	}
}
