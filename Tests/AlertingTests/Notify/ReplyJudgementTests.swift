import Telemetry
import Testing
import Wire

@testable import Alerting

/// Gateways lie with a status of 200; the body is believed.
@Suite struct ReplyJudgementTests {
    private func verdict(_ status: Int, _ body: String = "", _ fields: [HTTPField] = []) -> DeliveryVerdict {
        ReplyJudgement.generic(HTTPReply(status: status, fields: fields, body: Array(body.utf8)))
    }

    private func isRetry(_ verdict: DeliveryVerdict) -> Bool { if case .retry = verdict { true } else { false } }

    @Test(arguments: [
        "", "ok", "OK\n", "{}", #"{"errcode":0,"errmsg":"ok"}"#, #"{"code":0,"msg":"success","StatusCode":0}"#,
        #"{"ok":true}"#, #"{"success":true,"error":""}"#, #"{"error":null}"#, #"{"status":"success"}"#, "[1,2]",
        #"{"code":200}"#, #"{"message":"queued"}"#,
    ])
    func aSuccessWithAFittingBodyIsAccepted(_ body: String) {
        #expect(verdict(200, body) == .accepted)
        #expect(verdict(204) == .accepted)
    }

    @Test(arguments: [
        #"{"errcode":130101,"errmsg":"send too fast"}"#, #"{"errcode":"45009"}"#,
        #"{"code":19021,"msg":"sign match fail"}"#,
        #"{"StatusCode":11232}"#, #"{"ok":false,"description":"chat not found"}"#, #"{"success":false}"#,
        #"{"error":"invalid token"}"#, #"{"error":{"code":1}}"#, #"{"status":"error"}"#, #"{"status":"FAIL"}"#,
        "<html><body>log in</body></html>", "  <!DOCTYPE html>", #"{"errcode":0,"errm"#, "{",
    ])
    func aSuccessWithAnErrorInsideIsTriedAgain(_ body: String) {
        #expect(isRetry(verdict(200, body)))
    }

    @Test func aPageByItsContentTypeIsNoAnswer() {
        #expect(isRetry(verdict(200, "please log in", [HTTPField("content-type", "text/html; charset=utf-8")])))
    }

    @Test func statusesDecideFirst() {
        for status in [408, 425, 429, 500, 502, 503, 401, 403, 404, 301, 302] {
            #expect(isRetry(verdict(status, "{}")))
        }
        for status in [400, 405, 413, 415, 422] {
            guard case .refused = verdict(status, "why") else {
                Issue.record("\(status) is not refused")
                continue
            }
        }
    }

    @Test func retryAfterIsHonouredWithinAnHour() {
        #expect(
            verdict(429, "slow", [HTTPField("Retry-After", "17")])
                == .retry(reason: "status 429: slow", afterMilliseconds: 17_000))
        #expect(
            verdict(503, "", [HTTPField("Retry-After", "86400")])
                == .retry(reason: "status 503", afterMilliseconds: 3_600_000))
        #expect(
            verdict(503, "", [HTTPField("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")])
                == .retry(reason: "status 503", afterMilliseconds: nil))
    }
}
