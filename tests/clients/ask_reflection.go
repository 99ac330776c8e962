// Asks a server what it serves, by the stubs that gRPC itself publishes for each version of reflection.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	channel := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	stream := must(v1.NewServerReflectionClient(channel).ServerReflectionInfo(ctx))
	list := &v1.ServerReflectionRequest{MessageRequest: &v1.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(list); err != nil {
		log.Fatal(err)
	}
	for _, service := range must(stream.Recv()).GetListServicesResponse().GetService() {
		fmt.Println("v1", service.GetName())
	}

	old := must(v1alpha.NewServerReflectionClient(channel).ServerReflectionInfo(ctx))
	oldList := &v1alpha.ServerReflectionRequest{MessageRequest: &v1alpha.ServerReflectionRequest_ListServices{}}
	if err := old.Send(oldList); err != nil {
		log.Fatal(err)
	}
	for _, service := range must(old.Recv()).GetListServicesResponse().GetService() {
		fmt.Println("v1alpha", service.GetName())
	}
}
