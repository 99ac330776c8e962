// Holds the price of one request and charges it: the two calls that a gateway makes for each of its requests.
// How to run it, and what a gateway does besides (repeats, releases, keepalive): clients/README.md.
import { randomUUID } from "node:crypto";

import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";

import { ErrorInfo } from "./gen/google/rpc/error_details";
import { Status } from "./gen/google/rpc/status";
import {
  type AuthorizeResponse,
  type CommitResponse,
  denialReasonToJSON,
  LedgerServiceClient,
} from "./gen/tollkeeper/v1/ledger";

// One channel for a process, kept open; calls share it.
const ledger = new LedgerServiceClient(
  process.env.TOLLKEEPER_SERVER ?? "127.0.0.1:50051",
  credentials.createInsecure(),
);

const caller = new Metadata();
caller.set("tollkeeper-caller", "gateway-ts");

/** Give a call its deadline, and its answer as a promise. */
function call<Request, Answer>(
  method: (
    request: Request,
    metadata: Metadata,
    options: { deadline: number },
    done: (error: ServiceError | null, answer: Answer) => void,
  ) => unknown,
  request: Request,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    method.call(ledger, request, caller, { deadline: Date.now() + 5_000 }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

/** Hold the price of a request, process it, and pay by the status that was answered. */
async function serve(accountId: string, method: string, path: string): Promise<void> {
  const answer: AuthorizeResponse = await call(ledger.authorize, {
    accountId,
    method,
    path,
    requestId: randomUUID(), // made once: a repeat of this call takes the same one
    hold: undefined,
    dryRun: false,
  });
  if (answer.denial) {
    console.log(`answer your caller ${answer.denial.httpStatus}: ${denialReasonToJSON(answer.denial.reason)}`);
    return;
  }
  const reservation = answer.reservation;
  if (!reservation?.reservationId) {
    console.log("free: nothing to pay");
    return;
  }
  console.log(`${reservation.credits} credits held for ${method} ${path}`);

  const settled: CommitResponse = await call(ledger.commit, {
    reservationId: reservation.reservationId,
    httpStatus: 200,
    outcome: undefined,
  });
  console.log(`${settled.credits} credits charged, ${settled.balance?.available} are left`);
}

/** Return the reason of an error of the ledger: errors are told apart by it, and never by the message. */
function reasonOf(error: ServiceError): string {
  for (const bytes of error.metadata?.get("grpc-status-details-bin") ?? []) {
    for (const detail of Status.decode(bytes as Buffer).details) {
      if (detail.typeUrl.endsWith("/google.rpc.ErrorInfo")) {
        return ErrorInfo.decode(detail.value).reason;
      }
    }
  }
  return "";
}

serve("demo", "GET", "/v1/leads")
  .catch((error: ServiceError) => {
    console.error(reasonOf(error), error.message);
    process.exitCode = 1;
  })
  .finally(() => ledger.close());
