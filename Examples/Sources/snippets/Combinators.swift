import ConcurrentFutures

private struct User: Sendable { let name: String }
private struct Page: Sendable { let url: String }

private func loadUser(_ id: Int) -> Future<User> { .succeeded(User(name: "Ada")) }
private func countOrders(of id: Int) -> Future<Int> { .succeeded(3) }
private func fetch(_ url: String) -> Future<Page> { ThreadPool.shared.submit { Page(url: url) } }
private func show(_ page: Page) {}

func runCombinators() async throws {
  let urls = ["a", "b", "c"]
  let mirrors = urls

  do {
    // snippet: combinators
    let (user, orders) = try await gather(loadUser(7), countOrders(of: 7)).value  // of different types
    let pages = try await gather(urls.map(fetch)).value  // [Page], in order; the first error ends it
    let outcomes = try await gatherResults(urls.map(fetch)).value  // [Result<Page, any Error>]; never fails
    let fastest = try await firstSucceeded(of: mirrors.map(fetch)).value
    // end
    expect(user.name == "Ada" && orders == 3 && pages.map(\.url) == urls && outcomes.count == 3)
    expect(urls.contains(fastest.url))
  }

  // snippet: as completed
  for await future in asCompleted(urls.map(fetch)) {
    show(try await future.value)
  }
  for try await future in asCompleted(urls.map(fetch), timeout: .seconds(60)) {  // throws TimeoutError
    show(try await future.value)
  }
  // end

  // snippet: wait
  let futures = urls.map(fetch)
  let (done, notDone) = await wait(futures, timeout: .seconds(1), returnWhen: .firstError)
  for future in notDone { future.cancel() }
  // end
  expect(done.count + notDone.count == 3)
}
