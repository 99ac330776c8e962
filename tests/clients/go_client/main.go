// A client of grpc-go, as a gateway has one, without code that is generated:
//
//	go_client keep ADDRESS PING_EVERY FOR           prints "kept", or what became of a connection
//	go_client call ADDRESS CALLERS METHOD REQUEST   see call.go
//	go_client ask ADDRESS [CONFIG]                  see ask.go
//
// REQUEST is a message in hexadecimal.
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// raw carries messages as bytes.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error)      { return *message.(*[]byte), nil }
func (raw) Unmarshal(data []byte, message any) error { *message.(*[]byte) = data; return nil }
func (raw) Name() string                             { return "proto" }

func main() {
	switch given := os.Args[1:]; {
	case len(given) == 4 && given[0] == "keep":
		if why := keep(given[1], must(time.ParseDuration(given[2])), must(time.ParseDuration(given[3]))); why != "" {
			fail(why)
		}
		fmt.Println("kept")
	case len(given) == 5 && given[0] == "call":
		callOn(given[1], must(strconv.Atoi(given[2])), given[3], must(hex.DecodeString(given[4])))
	case len(given) == 2 && given[0] == "ask":
		ask(given[1], "")
	case len(given) == 3 && given[0] == "ask":
		ask(given[1], given[2])
	default:
		fail("usage: go_client keep ADDRESS PING_EVERY FOR | call ADDRESS CALLERS METHOD REQUEST | ask ADDRESS [CONFIG]")
	}
}

func open(address string, options ...grpc.DialOption) *grpc.ClientConn {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return must(grpc.NewClient(address, options...))
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err.Error())
	}
	return value
}

func fail(why string) {
	fmt.Println(why)
	os.Exit(1)
}
