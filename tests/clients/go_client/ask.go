// Calls what it reads, one call after the other, with a service config.

package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// ask reads a line "METHOD REQUEST" for each call, and prints how each ended. `config` is a file, "" where there is none.
func ask(address, config string) {
	options := []grpc.DialOption{}
	if config != "" {
		options = append(options, grpc.WithDefaultServiceConfig(string(must(os.ReadFile(config)))))
	}
	channel := open(address, options...)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		method, request, _ := strings.Cut(lines.Text(), " ")
		message, answer := must(hex.DecodeString(request)), []byte{}
		err := channel.Invoke(context.Background(), method, &message, &answer, grpc.ForceCodec(raw{}))
		fmt.Println(status.Code(err))
	}
}
