// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "./Base.t.sol";
import {IClaimHost} from "../../contracts/interfaces/IClaimHost.sol";
import {IIdentity} from "../../contracts/interfaces/IIdentity.sol";
import {ClaimWord} from "../../contracts/libraries/ClaimWord.sol";

/// @dev What a daemon does for the hosted form: a batch, and a claim signer's signature over it. The digest is made from the text of the interface, not from the
/// contract's own code.
abstract contract HostedSetup is BaseTest {
    uint256 internal constant HOSTED = 3;
    uint256 internal nextNonce;
    bytes32 internal id;

    function setUp() public virtual override {
        super.setUp();
        id = idOf(address(issuer), TOPIC);
    }

    function wordUntil(uint16 epoch, uint32 expiresAt) internal view returns (bytes32) {
        return ClaimWord.pack(epoch, uint32(block.timestamp), expiresAt, bytes21(keccak256("a commitment")));
    }

    function one(address subject, bytes32 word) internal pure returns (IClaimHost.Hosted[] memory items) {
        items = new IClaimHost.Hosted[](1);
        items[0] = IClaimHost.Hosted(subject, word);
    }

    function oneOf(address identity) internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = identity;
    }

    function batchDigest(address host, string memory kind, uint256 topic, bytes32 items, uint256 nonce, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain =
            keccak256(abi.encode(domainType, keccak256("Claimwright"), keccak256("1"), block.chainid, host));
        bytes32 kindHash =
            keccak256(bytes(string.concat(kind, "(uint256 topic,bytes32 items,uint256 nonce,uint256 deadline)")));
        bytes32 content = keccak256(abi.encode(kindHash, topic, items, nonce, deadline));
        return keccak256(abi.encodePacked("\x19\x01", domain, content));
    }

    function leave(uint256 key, string memory kind, uint256 topic, bytes32 items)
        internal
        returns (IClaimHost.Authorization memory)
    {
        uint256 nonce = nextNonce++;
        uint256 deadline = block.timestamp + 600;
        bytes32 digest = batchDigest(address(issuer), kind, topic, items, nonce, deadline);
        return IClaimHost.Authorization(nonce, deadline, compact(key, digest));
    }

    function leaveFor(IClaimHost.Hosted[] memory items) internal returns (IClaimHost.Authorization memory) {
        return leave(signerKey, "Issue", TOPIC, keccak256(abi.encode(items)));
    }

    function issue(IClaimHost.Hosted[] memory items) internal {
        IClaimHost.Authorization memory authorization = leaveFor(items);
        vm.prank(operator);
        issuer.issue(TOPIC, items, authorization);
    }

    function issue(IIdentity identity, bytes32 word) internal {
        issue(one(address(identity), word));
    }

    function onboardHosted(IClaimHost.Hosted[] memory items) internal {
        IClaimHost.Authorization memory authorization =
            leave(signerKey, "Onboard", TOPIC, keccak256(abi.encode(items)));
        vm.prank(operator);
        issuer.onboardHosted(TOPIC, items, authorization);
    }

    function revokeHosted(address[] memory identities) internal {
        IClaimHost.Authorization memory authorization =
            leave(signerKey, "RevokeHosted", TOPIC, keccak256(abi.encode(identities)));
        vm.prank(operator);
        issuer.revokeHosted(TOPIC, identities, authorization);
    }

    function isHostedValid(IIdentity identity, bytes32 word) internal view returns (bool) {
        return isValid(address(identity), TOPIC, "", word);
    }

    function assertShows(IIdentity identity, bytes32 word) internal view {
        (uint256 topic, uint256 scheme, address from, bytes memory signature, bytes memory data, string memory uri) =
            identity.getClaim(id);
        assertEq(topic, TOPIC);
        assertEq(scheme, HOSTED);
        assertEq(from, address(issuer));
        assertEq(signature.length, 0);
        assertEq(data, abi.encode(word));
        assertEq(uri, "");
        bytes32[] memory ids = identity.getClaimIdsByTopic(TOPIC);
        assertEq(ids.length, 1);
        assertEq(ids[0], id);
    }

    function assertShowsNothing(IIdentity identity) internal view {
        (uint256 topic,,,, bytes memory data,) = identity.getClaim(id);
        assertEq(topic, 0);
        assertEq(data.length, 0);
        assertEq(identity.getClaimIdsByTopic(TOPIC).length, 0);
    }
}
