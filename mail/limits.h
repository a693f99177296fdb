/// The bounds of the mail layer's parsers and judges. Each names its unit and where it comes from; a test stands at the
/// limit and one past it.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::mail::limits {

// -- Header block (header.h) --
inline constexpr std::size_t kHeaderBytes = 1024 * 1024;       ///< bytes of a whole header block; our choice
inline constexpr std::size_t kHeaderFieldBytes = 256 * 1024;   ///< bytes of one field with its folding; our choice
inline constexpr std::size_t kHeaderFields = 10'000;           ///< fields of a message; our choice

// -- Tokens of structured fields (lex.h) --
inline constexpr std::size_t kCommentDepth = 64;               ///< nested comments (RFC 5322 §3.2.2 sets no bound)

// -- Addresses (address.h) --
inline constexpr std::size_t kLocalPartBytes = 64;             ///< octets of a local part; RFC 5321 §4.5.3.1.1
inline constexpr std::size_t kAddressDomainBytes = 255;        ///< octets of a domain; RFC 5321 §4.5.3.1.2
inline constexpr std::size_t kMailboxBytes = 254;              ///< octets of a mailbox; RFC 5321 §4.5.3.1.3 less the brackets
inline constexpr std::size_t kPathBytes = 1024;                ///< octets of a path with a source route, which is ignored; ours
inline constexpr std::size_t kHeaderMailboxes = 5000;          ///< mailboxes read from one header field; ours

// -- Encoded words (encoded_word.h) --
inline constexpr std::size_t kEncodedWordBytes = 4096;         ///< characters of a word we read; RFC 2047 §2 allows 75; ours

// -- MIME (mime.h) --
inline constexpr std::size_t kMimeDepth = 20;                  ///< parts inside parts, message/rfc822 counts; ours
inline constexpr std::size_t kMimeParts = 1000;                ///< parts of a message; ours
inline constexpr std::size_t kMimeHeaderBytes = 1024 * 1024;   ///< bytes of all header blocks of a message together; ours
inline constexpr std::size_t kMimeBoundaryBytes = 200;         ///< characters of a boundary; RFC 2046 §5.1.1 allows 70; ours
inline constexpr std::size_t kMimeParameters = 100;            ///< parameters of a field, continuations counted each; ours

// -- Delivery status notifications (dsn.h) --
inline constexpr std::size_t kDsnRecipients = 1000;            ///< recipients read of a report; ours
inline constexpr std::size_t kDsnFieldBytes = 1000;            ///< bytes kept of a field's value; ours

// -- Tag=value lists (auth/tag_list.h) --
inline constexpr std::size_t kTagListTags = 100;               ///< tags of a list; RFC 6376 defines 16, our choice

// -- SPF (auth/spf.h) --
inline constexpr std::size_t kSpfLookups = 10;                 ///< terms that ask the DNS, in a whole check; RFC 7208 §4.6.4
inline constexpr std::size_t kSpfVoidLookups = 2;              ///< of these, terms that may find nothing; RFC 7208 §4.6.4
inline constexpr std::size_t kSpfMxHosts = 10;                 ///< MX records of one "mx"; more are an error; RFC 7208 §4.6.4
inline constexpr std::size_t kSpfPtrNames = 10;                ///< PTR records read; further ones are ignored; RFC 7208 §4.6.4
inline constexpr std::size_t kSpfRounds = 64;                  ///< calls until a verdict: four a term and a margin
inline constexpr std::size_t kSpfRecordBytes = 16 * 1024;      ///< octets of a record; RFC 7208 §3.4 advises 450; ours
inline constexpr std::size_t kSpfIdentityBytes = 1024;         ///< octets of a HELO or MAIL FROM; RFC 5321 allows 256; ours
inline constexpr std::size_t kSpfExpansionBytes = 4096;        ///< octets of a domain while it is expanded; ours
inline constexpr std::size_t kSpfExplanationBytes = 2048;      ///< octets of an expanded explanation; ours

// -- iprev (auth/iprev.h) --
inline constexpr std::size_t kIprevNames = 10;                 ///< PTR records read, as in RFC 7208 §4.6.4

// -- DKIM (auth/dkim.h) --
inline constexpr std::size_t kDkimSignatures = 8;              ///< signatures of a message that are checked; the others: policy
inline constexpr std::size_t kDkimKeys = 4;                    ///< key records tried at one name (RFC 6376 §6.1.2 lets us choose)
inline constexpr unsigned kDkimRsaLeastBits = 1024;            ///< RFC 8301 §3.2
inline constexpr unsigned kDkimRsaMostBits = 8192;             ///< our choice; RFC 8301 §3.2 wants 4096 at least
inline constexpr unsigned kDkimRsaParsedBits = 16 * 1024;      ///< a larger modulus is refused unread
inline constexpr unsigned kDkimRsaExponentBits = 64;           ///< 65537 is usual; a long exponent costs as much as signing
inline constexpr std::size_t kDkimSignedNames = 200;           ///< items of an h= that we write; our choice
inline constexpr std::size_t kArcInstances = 50;               ///< ARC sets of a message (RFC 8617 §4.2.1)
inline constexpr std::size_t kArcQuestions = 10;               ///< keys of a chain asked for at one time; our choice
inline constexpr std::chrono::hours kDkimClockSkew{24};        ///< how far in the future t= may be (RFC 6376 §3.5)

// -- DMARC (auth/dmarc.h, auth/orgdomain.h) --
inline constexpr std::size_t kDmarcTreeQueries = 8;            ///< questions of a tree walk; RFC 9989 §4.10
inline constexpr std::size_t kDmarcAuthorDomains = 4;          ///< From domains judged; RFC 9989 §11.5 leaves it to us
inline constexpr std::size_t kDmarcTags = 100;                 ///< tags read of a record; ours
inline constexpr std::size_t kDmarcUris = 10;                  ///< addresses read of rua= or ruf=; RFC 9989 §4.6 sets no bound

// -- Authentication-Results (auth/authres.h) --
inline constexpr std::size_t kAuthresValueBytes = 300;         ///< bytes of a value, comment or reason we write; ours
inline constexpr std::size_t kAuthresResults = 100;            ///< results read of one field; ours
inline constexpr std::size_t kAuthresProperties = 30;          ///< properties read of one result; ours

// -- The whole message (auth/evaluate.h, auth/evidence.h, auth/bimi.h) --
inline constexpr std::size_t kAuthresDkim = 20;                ///< dkim= results written for one message; ours
inline constexpr std::size_t kEvidenceBytes = 64 * 1024;       ///< bytes of the evidence kept with a message; ours
inline constexpr std::size_t kBimiSvgBytes = 32 * 1024;          ///< bytes of an indicator; the BIMI group's advice
inline constexpr std::size_t kBimiUriBytes = 2048;             ///< bytes of l= or a=; ours

}  // namespace postern::mail::limits
