// Holds the price of one request and charges it: the two calls that a gateway makes for each of its requests.
// How to run it, and what a gateway does besides (repeats, releases, keepalive): clients/README.md.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tollkeeper "gateway/tollkeeper/v1"
)

func main() {
	server := os.Getenv("TOLLKEEPER_SERVER")
	if server == "" {
		server = "127.0.0.1:50051"
	}
	// One channel for a process, kept open; calls share it.
	channel, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		defer channel.Close()
		err = serve(tollkeeper.NewLedgerServiceClient(channel), "demo", "GET", "/v1/leads")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve holds the price of a request, processes it, and pays by the status that was answered.
func serve(ledger tollkeeper.LedgerServiceClient, account, method, path string) error {
	ctx, cancel := call()
	defer cancel()
	answer, err := ledger.Authorize(ctx, &tollkeeper.AuthorizeRequest{
		AccountId: account,
		Method:    method,
		Path:      path,
		RequestId: rand.Text(), // made once: a repeat of this call takes the same one
	})
	if err != nil {
		return explained(err)
	}
	if denial := answer.GetDenial(); denial != nil {
		fmt.Printf("answer your caller %d: %v\n", denial.GetHttpStatus(), denial.GetReason())
		return nil
	}
	reservation := answer.GetReservation()
	if reservation.GetReservationId() == "" {
		fmt.Println("free: nothing to pay")
		return nil
	}
	fmt.Printf("%d credits held for %s %s\n", reservation.GetCredits(), method, path)

	ctx, cancel = call()
	defer cancel()
	settled, err := ledger.Commit(ctx, &tollkeeper.CommitRequest{
		ReservationId: reservation.GetReservationId(),
		Result:        &tollkeeper.CommitRequest_HttpStatus{HttpStatus: 200},
	})
	if err != nil {
		return explained(err)
	}
	fmt.Printf("%d credits charged, %d are left\n", settled.GetCredits(), settled.GetBalance().GetAvailable())
	return nil
}

// call returns the context of one call: a deadline of its own, however long the request took, and who calls.
func call() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	return metadata.AppendToOutgoingContext(ctx, "tollkeeper-caller", "gateway-go"), cancel
}

// explained puts the reason before an error of the ledger: errors are told apart by it, and never by the message.
func explained(err error) error {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return errors.Join(errors.New(info.GetReason()), err)
		}
	}
	return err
}
