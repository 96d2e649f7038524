// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {BaseTest} from "../Base.t.sol";
import {OnchainidSetup} from "../OnchainidSetup.sol";
import {Campaign} from "./Campaign.sol";
import {IClaimIssuer} from "../../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../../contracts/interfaces/IERC734.sol";
import {IERC735} from "../../../contracts/interfaces/IERC735.sol";

/// @dev An identity that shows whatever was put there.
contract Shelf {
    mapping(bytes32 claimId => bytes) private _claims;

    function put(bytes32 claimId, IERC735.Claim calldata claim) external {
        _claims[claimId] = abi.encode(claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
    }

    function getClaim(bytes32 claimId) external view {
        bytes memory claim = _claims[claimId];
        if (claim.length == 0) claim = abi.encode(0, 0, address(0), "", "", "");
        assembly {
            return(add(claim, 0x20), mload(claim))
        }
    }
}

/// @dev One ClaimIssuer of ours and one of ONCHAINID 2.2.1 with the same signers, asked about the same signatures. Moves as in OnchainidIdentityHandler.
contract OnchainidIssuerHandler is BaseTest, OnchainidSetup {
    IClaimIssuer public theirs;
    address[2] internal signers;
    uint256[2] internal signerKeys;
    Shelf[2] public shelves = [new Shelf(), new Shelf()];
    mapping(address subject => mapping(uint256 topic => bool)) internal ended; // by revokeClaim, which ends all of it here
    mapping(bytes32 signature => bool) internal onlyTheirs; // marked by revokeClaim there, although it was not valid

    constructor() {
        setUp();
        theirs = IClaimIssuer(deployTheirs("ClaimIssuer", abi.encode(manager)));
        for (uint256 i = 0; i < 2; ++i) {
            (signers[i], signerKeys[i]) = makeAddrAndKey(i == 0 ? "first" : "second");
        }
        for (uint256 i = 0; i < 16; ++i) {
            (address subject, uint256 topic, bytes memory signature) = question(i);
            IERC735.Claim memory claim = IERC735.Claim(topic, 1, address(issuer), signature, dataOf(i), "");
            if (i % 3 == 0) Shelf(subject).put(idOf(address(issuer), topic), claim);
            claim.issuer = address(theirs);
            if (i % 3 == 0) Shelf(subject).put(idOf(address(theirs), topic), claim);
        }
    }

    function setSigner(uint256 sender, uint256 signer_, bool adding) external {
        bytes32 key = keyOf(signers[signer_ % 2]);
        both(
            pick(sender),
            adding
                ? abi.encodeCall(IERC734.addKey, (key, CLAIM, ECDSA))
                : abi.encodeCall(IERC734.removeKey, (key, CLAIM))
        );
    }

    function revokeBySignature(uint256 sender, uint256 number) external {
        (,, bytes memory signature) = question(number);
        if (onlyTheirs[keccak256(signature)]) return;
        both(pick(sender), abi.encodeCall(IClaimIssuer.revokeClaimBySignature, (signature)));
    }

    function revokeClaim(uint256 sender, uint256 number) external {
        address from = pick(sender);
        (address subject, uint256 topic,) = question(number);
        IERC735.Claim memory shown;
        (shown.topic,,, shown.signature, shown.data,) = IERC735(subject).getClaim(idOf(address(issuer), topic));
        bytes memory forOurs = abi.encodeCall(IClaimIssuer.revokeClaim, (idOf(address(issuer), topic), subject));
        if (shown.topic == 0) return refused(from, forOurs); // theirs would revoke the empty signature
        bool valid = issuer.isClaimValid(subject, topic, shown.signature, shown.data);
        if (theirs.isClaimRevoked(shown.signature)) {
            // Theirs refuses; here it still ends what else there may be of the claim.
            vm.prank(from);
            (bool done,) = address(issuer).call(forOurs);
            assertEq(done, from == manager);
        } else {
            both(from, forOurs, abi.encodeCall(IClaimIssuer.revokeClaim, (idOf(address(theirs), topic), subject)));
            if (from == manager && !valid) onlyTheirs[keccak256(shown.signature)] = true;
        }
        if (from == manager) ended[subject][topic] = true;
    }

    function check() external view {
        for (uint256 i = 0; i < 16; ++i) {
            (address subject, uint256 topic, bytes memory signature) = question(i);
            bool valid = theirs.isClaimValid(subject, topic, signature, dataOf(i));
            assertEq(
                issuer.isClaimValid(subject, topic, signature, dataOf(i)),
                valid && !ended[subject][topic],
                "isClaimValid"
            );
            bool revoked = theirs.isClaimRevoked(signature) && !onlyTheirs[keccak256(signature)];
            assertEq(issuer.isClaimRevoked(signature), revoked, "isClaimRevoked");
            assertEq(issuer.revokedClaims(signature), revoked, "revokedClaims");
            assertFalse(issuer.isClaimValid(subject, topic + 1, signature, dataOf(i)));
            assertFalse(theirs.isClaimValid(subject, topic + 1, signature, dataOf(i)));
        }
    }

    /// @dev One of two subjects, two topics, two signers, two contents.
    function question(uint256 number) private view returns (address subject, uint256 topic, bytes memory signature) {
        number %= 16;
        subject = address(shelves[number % 2]);
        topic = 1 + (number >> 1) % 2;
        signature = full(signerKeys[(number >> 2) % 2], legacyDigest(subject, topic, dataOf(number)));
    }

    function dataOf(uint256 number) private pure returns (bytes memory) {
        return number % 16 < 8 ? bytes("data") : bytes("");
    }

    function pick(uint256 seed) private view returns (address) {
        return [manager, manager, signers[0], stranger][seed % 4];
    }

    function both(address sender, bytes memory data) private {
        both(sender, data, data);
    }

    function both(address sender, bytes memory forOurs, bytes memory forTheirs) private {
        vm.startPrank(sender);
        (bool one, bytes memory answer) = address(issuer).call(forOurs);
        (bool two, bytes memory theirAnswer) = address(theirs).call(forTheirs);
        vm.stopPrank();
        assertEq(one, two, "both take it or neither does");
        if (one) assertEq(answer, theirAnswer, "the same answer");
    }

    function refused(address sender, bytes memory data) private {
        vm.prank(sender);
        (bool done,) = address(issuer).call(data);
        assertFalse(done, "ours refuses");
    }
}

contract OnchainidIssuerInvariants is Campaign {
    OnchainidIssuerHandler internal handler;

    function setUp() public {
        handler = new OnchainidIssuerHandler();
        bytes4[] memory moves = new bytes4[](3);
        (moves[0], moves[1]) = (handler.setSigner.selector, handler.revokeBySignature.selector);
        moves[2] = handler.revokeClaim.selector;
        target(address(handler), moves);
    }

    function invariant_EveryViewAgrees() public view {
        handler.check();
    }
}
