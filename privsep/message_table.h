/// The one declaration of who may say what to whom. From it come the checks of every frame, the channels the parent makes, the
/// names in traces, pkg/doc/ipc.md and a fuzz case for each row.
#pragma once

#include <array>
#include <tuple>

#include "privsep/messages.h"

namespace postern::privsep {

template <class... M>
struct MessageList {
  static constexpr std::array<Row, sizeof...(M)> rows{M::row...};
  template <class F>
  static constexpr void each(F&& f) {
    (f.template operator()<M>(), ...);
  }
};

using Messages =
    MessageList<ChildStart, ChildFile, PeerChannel, StartComplete, Ready, Stop, Reload, LogLine, MetricsReport, PeerBroken,
                SyscallReport, StatusSnapshot, LmtpConnect, LmtpConnection, RecipientQuery, RecipientVerdict, Submission,
                 SubmissionVerdict, SpoolRequest, SpoolAnswer, SpoolState, WorkMarker, DnsQuery, DnsAnswer, DnssecState, TlsSign, TlsSignature,
                 CertificatesQuery, Certificates, LocalDelivery, DeliveryResult, RemoteDelivery, StsQuery, StsKnown,
                 StsLearnt, StsRefresh, AdminRequest, AdminAnswer>;

inline constexpr const auto& kRows = Messages::rows;

constexpr const Row* row_numbered(std::uint16_t number) {
  for (const Row& row : kRows)
    if (row.number == number) return &row;
  return nullptr;
}
constexpr const Row* row_named(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return &row;
  return nullptr;
}

/// Whether the two have anything to say to each other, in either direction: then there is a channel between them.
constexpr bool have_channel(Role a, Role b) {
  for (const Row& row : kRows)
    if ((row.from.has(a) && row.to.has(b)) || (row.from.has(b) && row.to.has(a))) return true;
  return false;
}

/// The table checks itself when it is compiled: numbers and names unique, each request answered by an answer row that goes back.
constexpr bool table_is_sound() {
  for (const Row& row : kRows) {
    int same = 0;
    for (const Row& other : kRows) same += other.number == row.number || other.name == row.name ? 1 : 0;
    if (same != 1) return false;
    if ((row.kind == Kind::request) != !row.answer.empty()) return false;
    if (row.kind != Kind::request) continue;
    const Row* answer = row_named(row.answer);
    if (answer == nullptr || answer->kind != Kind::answer) return false;
    for (Role role : kRoles)
      if ((row.to.has(role) && !answer->from.has(role)) || (row.from.has(role) && !answer->to.has(role))) return false;
  }
  return true;
}
#ifndef POSTERN_SANITIZED  // g++ 12 does not count the function as constant under -fsanitize=undefined
static_assert(table_is_sound());
#endif

}  // namespace postern::privsep
