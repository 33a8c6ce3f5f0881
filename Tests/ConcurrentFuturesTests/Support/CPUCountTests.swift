import Testing

@testable import ConcurrentFutures

#if os(Linux)
/// The CPU limit of control groups, read from made-up files.
@Suite struct CPUCountTests {
  private func quota(_ membership: String, _ files: [String: String]) -> Int? {
    CPUCount.quota(membership: membership) { files[$0] }
  }

  @Test func thereIsAtLeastOneProcessor() { #expect(CPUCount.available >= 1) }

  @Test func groupsOfVersion2() {
    let membership = "0::/user.slice/app.service\n"
    let own = "/sys/fs/cgroup/user.slice/app.service/cpu.max"
    #expect(quota(membership, [:]) == nil)
    #expect(quota(membership, [own: "max 100000\n"]) == nil)
    #expect(quota(membership, [own: "200000 100000\n"]) == 2)
    // Rounded up, and never below one.
    #expect(quota(membership, [own: "150000 100000\n"]) == 2)
    #expect(quota(membership, [own: "1000 100000\n"]) == 1)
  }

  @Test func tightestOfTheAncestorsCounts() {
    let membership = "0::/a/b\n"
    let files = [
      "/sys/fs/cgroup/cpu.max": "800000 100000",
      "/sys/fs/cgroup/a/cpu.max": "300000 100000",
      "/sys/fs/cgroup/a/b/cpu.max": "500000 100000",
    ]
    #expect(quota(membership, files) == 3)
  }

  @Test func containerSeesItsLimitAtTheRoot() {
    #expect(quota("0::/\n", ["/sys/fs/cgroup/cpu.max": "400000 100000\n"]) == 4)
    // The path is the host's and is not there inside.
    #expect(quota("0::/docker/0123abc\n", ["/sys/fs/cgroup/cpu.max": "400000 100000\n"]) == 4)
  }

  @Test func groupsOfVersion1() {
    let membership = "12:memory:/m\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/ignored\n"
    let own = "/sys/fs/cgroup/cpu/docker/x/"
    #expect(quota(membership, [own + "cpu.cfs_quota_us": "250000\n", own + "cpu.cfs_period_us": "100000\n"]) == 3)
    #expect(quota(membership, [own + "cpu.cfs_quota_us": "-1\n", own + "cpu.cfs_period_us": "100000\n"]) == nil)
    #expect(quota(membership, [own + "cpu.cfs_quota_us": "250000\n"]) == nil)
    let root = "/sys/fs/cgroup/cpu/"
    #expect(quota(membership, [root + "cpu.cfs_quota_us": "50000\n", root + "cpu.cfs_period_us": "100000\n"]) == 1)
  }

  @Test func nonsenseIsNoLimit() {
    #expect(quota("", [:]) == nil)
    #expect(quota("what\n:::\n0:\n", ["/sys/fs/cgroup/cpu.max": ""]) == nil)
    for text in ["", "x y", "100000", "0 100000", "100000 0", "-5 100000", "1 2 3"] {
      #expect(quota("0::/\n", ["/sys/fs/cgroup/cpu.max": text]) == nil, "\(text)")
    }
  }
}
#endif
